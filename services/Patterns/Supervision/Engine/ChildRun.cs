namespace DistributedPatterns.Supervision.Engine;

/// <summary>One start of a child: runs its body, sees its signs of life, stops it.</summary>
internal sealed class ChildRun
{
    private const int MaxReason = 200;

    private readonly ChildDefinition _definition;
    private readonly ChildContext _context;
    private readonly TimeProvider _time;
    private readonly Action _changed;
    private readonly CancellationTokenSource _cancel;
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private long _lastBeat;
    private int _isUp;
    private int _signal;
    private volatile ChildEnd? _end;

    /// <param name="definition">The child.</param>
    /// <param name="owner">The process.</param>
    /// <param name="epoch">The number of this start.</param>
    /// <param name="store">Where it keeps its value.</param>
    /// <param name="time">The clock of heartbeats and limits.</param>
    /// <param name="changed">Called when it is up and when it has ended; must not block.</param>
    public ChildRun(ChildDefinition definition, string owner, long epoch, IChildStore store, TimeProvider time, Action changed)
    {
        (_definition, _time, _changed) = (definition, time, changed);
        _cancel = new CancellationTokenSource(Timeout.InfiniteTimeSpan, time);
        _context = new ChildContext(this, definition.Name, owner, epoch, store);
    }

    public string Name => _definition.Name;

    public long Epoch => _context.Epoch;

    public TimeSpan StopLimit => _definition.Options.StopLimit;

    /// <summary>Gets whether the child has given its first sign, or does not have to.</summary>
    public bool IsUp => Volatile.Read(ref _isUp) == 1;

    /// <summary>Gets how it ended, or <see langword="null"/> while it runs.</summary>
    public ChildEnd? End => _end;

    /// <summary>Gets a task that ends with the child, and never fails.</summary>
    public Task Ended => _ended.Task;

    /// <summary>Gets how long the child may go on without a sign, zero or less when it has hung; <see langword="null"/> for ever.</summary>
    public TimeSpan? HeartbeatLeft => _definition.Options.HeartbeatLimit - _time.GetElapsedTime(Volatile.Read(ref _lastBeat));

    public ChildEnd AsHung => new(ChildEndKind.Hung, $"hung: no sign for {_definition.Options.HeartbeatLimit:c}");

    public void Start()
    {
        Volatile.Write(ref _lastBeat, _time.GetTimestamp());
        // A body that blocks before its first await blocks a pool thread, not its supervisor. What it throws becomes its end.
        _ = Task.Run(RunAsync);
    }

    public void Beat()
    {
        Volatile.Write(ref _lastBeat, _time.GetTimestamp());
        BeUp();
    }

    public void Signal(ChildSignal signal) => Interlocked.Exchange(ref _signal, (int)signal);

    public ChildSignal TakeSignal() => Volatile.Read(ref _signal) == 0 ? ChildSignal.None : (ChildSignal)Interlocked.Exchange(ref _signal, 0);

    /// <summary>Lets the child run for so long from now, then cancels it unless it was extended again.</summary>
    public void Extend(TimeSpan lease) => _cancel.CancelAfter(lease > TimeSpan.Zero ? lease : TimeSpan.Zero);

    /// <summary>Cancels the child and waits for its end, at most for its limit.</summary>
    /// <returns>Whether it has ended.</returns>
    public async Task<bool> StopAsync()
    {
        try
        {
            await Task.WhenAll(_cancel.CancelAsync(), Ended).WaitAsync(StopLimit, _time).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            return Ended.IsCompleted;
        }
        catch (AggregateException)
        {
            // A callback that the child had on its token threw. The child itself has ended, or there would be no answer yet.
        }
        return true;
    }

    private void BeUp()
    {
        if (Volatile.Read(ref _isUp) == 0 && Interlocked.Exchange(ref _isUp, 1) == 0) _changed();
    }

    private async Task RunAsync()
    {
        var end = await EndAsync().ConfigureAwait(false);
        _cancel.CancelAfter(Timeout.InfiniteTimeSpan); // no timer is left behind
        _end = end.Reason.Length <= MaxReason ? end : end with { Reason = end.Reason[..MaxReason] };
        _ended.SetResult();
        _changed();
    }

    private async Task<ChildEnd> EndAsync()
    {
        try
        {
            var running = _definition.Run(_context, _cancel.Token);
            if (_definition.Options.HeartbeatLimit is null) BeUp();
            await running.ConfigureAwait(false);
            return _cancel.IsCancellationRequested ? new(ChildEndKind.Stopped, "stopped") : new(ChildEndKind.Exited, "exited");
        }
        catch (OperationCanceledException) when (_cancel.IsCancellationRequested)
        {
            return new(ChildEndKind.Stopped, "stopped");
        }
        catch (ChildDoneException done)
        {
            return new(ChildEndKind.Done, $"done: {done.Message}");
        }
        catch (EndTreeException end)
        {
            return new(ChildEndKind.EndTree, $"ended the tree: {end.Message}");
        }
        catch (Exception error)
        {
            // Whatever it is, it is the supervisor's to judge. What fails while it stops has stopped.
            return new(_cancel.IsCancellationRequested ? ChildEndKind.Stopped : ChildEndKind.Crashed, $"crashed: {error.GetType().Name}: {error.Message}");
        }
    }
}
