using System.Diagnostics;

namespace DistributedPatterns.FanOutFanIn.Engine;

/// <summary>Why a gathering ends before everything is answered.</summary>
/// <param name="KeepsAnswers">Whether what is answered by then still goes to the caller.</param>
/// <param name="ErrorOf">Makes what is thrown, or <see langword="null"/> for an end without an error.</param>
internal sealed record ScatterEnding(bool KeepsAnswers, Func<GatherReport, Exception?> ErrorOf)
{
    public static ScatterEnding Left { get; } = new(false, static _ => null);

    public static ScatterEnding By(Exception error) => new(false, _ => error);
}

/// <summary>One gathering while it runs: the line, the crew that works on it, and the one reason for which it ends.</summary>
internal sealed class ScatterRun<TIn, TOut>
{
    private readonly ScatterHost _host;
    private readonly CancellationTokenSource _cancel = new();
    private readonly GatherTally<TOut> _tally;
    private readonly long _since;
    private ICrew? _crew;
    private Activity? _activity;
    private Task _work = Task.CompletedTask;
    private ITimer? _deadline;
    private ScatterEnding? _ending;
    private GatherReport? _report;
    private BranchException? _failure;
    private int _abandoned;

    public ScatterRun(BranchDefinition<TIn, TOut> branch, Intake<TIn> intake, ScatterOptions<TIn> options, ScatterHost host)
    {
        (Branch, Options, _host) = (branch, options, host);
        Line = new SliceLine<TIn, TOut>(intake, options.Order, options.Capacity);
        Token = _cancel.Token;
        _tally = new GatherTally<TOut>(branch.Name);
        _since = host.Time.GetTimestamp();
    }

    public BranchDefinition<TIn, TOut> Branch { get; }

    public ScatterOptions<TIn> Options { get; }

    public SliceLine<TIn, TOut> Line { get; }

    public TimeProvider Time => _host.Time;

    /// <summary>Gets the token of the branches: cancelled when the gathering ends early.</summary>
    public CancellationToken Token { get; }

    public ScatterEnding? Ending => Volatile.Read(ref _ending);

    /// <summary>Gets how long is left until the deadline, if there is one.</summary>
    public TimeSpan? Remaining => Options.Deadline - Time.GetElapsedTime(_since);

    public GatherReport Report => _report ?? _tally.Read(Line.Asked, Time.GetElapsedTime(_since));

    public void Start(ICrew crew)
    {
        _crew = crew;
        var caller = Activity.Current;
        _activity = _host.Begin(Branch.Name);
        if (Options.Deadline is { } limit) _deadline = Time.CreateTimer(_ => End(AtDeadline(limit)), null, limit, Timeout.InfiniteTimeSpan);
        _work = Task.WhenAll(GuardAsync(() => Line.PumpAsync(Token)), GuardAsync(crew.RunAsync));
        Activity.Current = caller; // the tasks have theirs; the caller's must not change
    }

    /// <summary>Ends it early; the first reason counts.</summary>
    public bool End(ScatterEnding ending)
    {
        if (Interlocked.CompareExchange(ref _ending, ending, null) is not null) return false;
        Line.Stop();
        try
        {
            _cancel.Cancel();
        }
        catch (AggregateException)
        {
            // A branch's own callback threw. The token is cancelled all the same, and the gathering has to end.
        }
        return true;
    }

    /// <summary>Ends it for a branch's error, which nobody gathers.</summary>
    public void Fail(BranchException error)
    {
        if (!End(ScatterEnding.By(error))) return;
        _failure = error;
        _tally.AddFailure();
    }

    /// <summary>Counts answers as the caller gets them.</summary>
    public void Count(ReadOnlySpan<BranchResult<TOut>> results) => _tally.Add(results);

    /// <summary>Waits until nobody works for it any more; who does not obey within the grace is left behind.</summary>
    public async Task SettleAsync()
    {
        if (_deadline is not null) await _deadline.DisposeAsync().ConfigureAwait(false);
        try
        {
            await _work.WaitAsync(_host.Grace, Time).ConfigureAwait(false);
            Line.PublishRest();
        }
        catch (TimeoutException)
        {
            _abandoned = Math.Max(1, _crew!.Running);
            _host.Abandon(_work);
        }
        Line.Settle();
    }

    /// <summary>Makes the report final.</summary>
    /// <returns>What to throw.</returns>
    public Exception? Conclude()
    {
        while (Line.Read(out var count, out _) is { } slice) Count(slice.Results.AsSpan(slice.Gathered, count)); // answered, and not taken
        var report = Report with { MissingInputs = Line.FindMissing(except: _failure?.Index), Abandoned = _abandoned };
        var error = _ending?.ErrorOf(report);
        _report = report;
        _host.End(_activity, report, error);
        if (_abandoned == 0) _cancel.Dispose(); // who was left behind may still look at the token
        return error;
    }

    private ScatterEnding AtDeadline(TimeSpan limit)
    {
        if (Options.AtDeadline == DeadlinePolicy.Partial) return new ScatterEnding(true, static _ => null);
        var because = _crew!.WhyIdle() ?? (report => new ScatterDeadlineException(limit, report)); // now: later it will be idle for having been stopped
        return new ScatterEnding(false, because);
    }

    private async Task GuardAsync(Func<Task> part)
    {
        try
        {
            await Task.Run(part).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (Ending is not null)
        {
            // Told to.
        }
        catch (Exception error)
        {
            End(ScatterEnding.By(error)); // the source's, or a bug of ours: thrown to the caller
        }
    }
}

/// <summary>Those who do the work of one gathering.</summary>
internal interface ICrew
{
    /// <summary>Gets or sets how many items may run at the same time.</summary>
    int Degree { get; set; }

    /// <summary>Gets how many of them work right now.</summary>
    int Running { get; }

    /// <summary>Works until there is nothing left, or the run has ended.</summary>
    Task RunAsync();

    /// <summary>Returns what a deadline that was missed is due to, when nobody was there to work.</summary>
    Func<GatherReport, Exception>? WhyIdle() => null;
}
