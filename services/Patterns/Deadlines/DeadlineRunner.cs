using System.Collections.Concurrent;
using DistributedPatterns.Deadlines.Engine;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.ObjectPool;
using Microsoft.Extensions.Options;

namespace DistributedPatterns.Deadlines;

/// <summary>Runs work under a deadline in this process.</summary>
/// <remarks>
/// <list type="bullet">
/// <item>Work whose deadline has passed, or whose caller has left, does not begin.</item>
/// <item>Its token is cancelled at the deadline or when the caller leaves, whichever is first; the exception says which it was.</item>
/// <item>Work that ignores its token is left behind after <see cref="DeadlineOptions.Grace"/>: the caller goes on, the work is counted until it ends.</item>
/// <item>Work that ends at once allocates nothing.</item>
/// </list>
/// Safe for concurrent use.
/// </remarks>
public sealed partial class DeadlineRunner : IAsyncDisposable
{
    private readonly ConcurrentDictionary<Straggler, Straggler> _leftBehind = new();
    private readonly ConcurrentDictionary<Straggler, Straggler> _detached = new();
    private readonly CancellationTokenSource _stopping = new();
    private readonly DeadlineOptions _options;
    private readonly ObjectPool<RunScope> _scopes;
    private readonly ILogger _logger;
    private int _openDetached;
    private long _spent;
    private long _late;
    private long _worstOverrun; // in ticks

    public DeadlineRunner(IOptions<DeadlineOptions> options, TimeProvider time, ILogger<DeadlineRunner> logger)
    {
        (_options, Time, _logger) = (options.Value, time, logger);
        _scopes = new DefaultObjectPoolProvider { MaximumRetained = 1_024 }.Create(new ScopePolicy(time));
    }

    /// <summary>Gets how much work runs on although nobody waits for it any more: it ignored its token.</summary>
    public int LeftBehind => _leftBehind.Count;

    /// <summary>Gets how much detached work is under way.</summary>
    public int Detached => Volatile.Read(ref _openDetached);

    /// <summary>Gets how many callers heard after their deadline, and how late. By contract no later than <see cref="DeadlineOptions.Grace"/>, and what a busy machine adds.</summary>
    public BudgetOverruns Overruns => new(Interlocked.Read(ref _spent), Interlocked.Read(ref _late), TimeSpan.FromTicks(Interlocked.Read(ref _worstOverrun)));

    internal TimeProvider Time { get; }

    /// <summary>Returns the deadline that is a time from now on this runner's clock.</summary>
    public Deadline After(TimeSpan budget) => Deadline.After(budget, Time);

    /// <summary>Runs work until it ends, at the latest until the deadline.</summary>
    /// <param name="deadline">May be shared by several runs: attempts and parts of one whole.</param>
    /// <param name="state">What <paramref name="work"/> needs, so that it can be static.</param>
    /// <param name="work">Should end soon when its token is cancelled. The token is not to be kept after that.</param>
    /// <param name="cancellationToken">The caller's.</param>
    /// <exception cref="DeadlineExceededException">The deadline passed, before the work began or before it ended.</exception>
    /// <exception cref="OperationCanceledException">The caller cancelled.</exception>
    public ValueTask<TResult> RunAsync<TState, TResult>(
        Deadline deadline, TState state, Func<TState, CancellationToken, ValueTask<TResult>> work, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(work);
        return RunAsync("The work", deadline, (state, work), static (run, scope) => run.work(run.state, scope.Token), new RunTokens(cancellationToken));
    }

    /// <summary>The same for work that has all its budget, from now on.</summary>
    /// <param name="budget">Above zero.</param>
    /// <inheritdoc cref="RunAsync{TState, TResult}(Deadline, TState, Func{TState, CancellationToken, ValueTask{TResult}}, CancellationToken)"/>
    public ValueTask<TResult> RunAsync<TState, TResult>(
        TimeSpan budget, TState state, Func<TState, CancellationToken, ValueTask<TResult>> work, CancellationToken cancellationToken = default)
    {
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(budget, TimeSpan.Zero);
        ArgumentNullException.ThrowIfNull(work);
        return BeginAsync("The work", After(budget), (state, work), static (run, scope) => run.work(run.state, scope.Token), new RunTokens(cancellationToken));
    }

    /// <summary>Begins work that outlives who asked for it: with a budget of its own, under a name, counted. For what must be done although the caller left, such as cleaning up.</summary>
    /// <param name="name">1 to 64 characters, few different ones: telemetry has it.</param>
    /// <param name="budget">Above zero.</param>
    /// <param name="work">Its token is cancelled when the budget is spent or the process stops. Its error is logged and counted.</param>
    /// <returns>A task that ends with the work and does not fail.</returns>
    /// <exception cref="InvalidOperationException">As much is detached as <see cref="DeadlineOptions.MaxDetached"/> allows.</exception>
    public Task Detach(string name, TimeSpan budget, Func<CancellationToken, ValueTask> work)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(name);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(name.Length, 64, nameof(name));
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(budget, TimeSpan.Zero);
        ArgumentNullException.ThrowIfNull(work);
        if (Interlocked.Increment(ref _openDetached) > _options.MaxDetached)
        {
            Interlocked.Decrement(ref _openDetached);
            throw new InvalidOperationException($"'{name}' was not detached: {_options.MaxDetached:N0} of {_options.MaxDetached:N0} are under way. Wait for some to end, or raise MaxDetached.");
        }
        var deadline = After(budget);
        var straggler = new Straggler(name);
        _detached[straggler] = straggler;
        return straggler.Task = Task.Run(() => RunDetachedAsync(straggler, deadline, work));
    }

    /// <summary>Cancels what is detached, and gives it and what was left behind a last grace.</summary>
    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync().ConfigureAwait(false);
        Straggler[] all = [.. _detached.Keys, .. _leftBehind.Keys];
        await Task.WhenAll(all.Select(straggler => straggler.Task)).WaitAsync(_options.Grace, Time).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        foreach (var straggler in all.Where(straggler => !straggler.Task.IsCompleted)) LogNotStopped(_logger, straggler.Name);
    }

    internal ValueTask<TResult> RunAsync<TState, TResult>(
        string what, Deadline deadline, TState state, Func<TState, RunScope, ValueTask<TResult>> work, in RunTokens tokens)
    {
        if (deadline.HasPassed) return ValueTask.FromException<TResult>(new DeadlineExceededException(what, deadline.Budget, started: false));
        return BeginAsync(what, deadline, state, work, tokens);
    }

    private ValueTask<TResult> BeginAsync<TState, TResult>(
        string what, Deadline deadline, TState state, Func<TState, RunScope, ValueTask<TResult>> work, in RunTokens tokens)
    {
        if (tokens.Caller.IsCancellationRequested) return ValueTask.FromCanceled<TResult>(tokens.Caller);
        var scope = _scopes.Get();
        scope.Begin(deadline, tokens);
        ValueTask<TResult> running;
        try
        {
            running = work(state, scope);
        }
        catch (Exception error)
        {
            running = ValueTask.FromException<TResult>(error); // as if it had thrown a moment later
        }
        if (!running.IsCompletedSuccessfully) return AwaitAsync(what, deadline, running.AsTask(), scope, tokens);
        var result = running.Result;
        _scopes.Return(scope);
        return new ValueTask<TResult>(result);
    }

    private async ValueTask<TResult> AwaitAsync<TResult>(string what, Deadline deadline, Task<TResult> running, RunScope scope, RunTokens tokens)
    {
        if (!running.IsCompleted) await ((Task)running).WaitAsync(scope.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (!running.IsCompleted) await ((Task)running).WaitAsync(_options.Grace, Time).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        RecordOverrun(deadline.Overrun);
        if (!running.IsCompleted)
        {
            LeaveBehind(what, running, scope);
            throw ErrorOf(scope.Reason, null);
        }
        try
        {
            return await running.ConfigureAwait(false);
        }
        catch (OperationCanceledException error) when (scope.Reason != CancellationReason.None)
        {
            throw ErrorOf(scope.Reason, error);
        }
        finally
        {
            _scopes.Return(scope);
        }

        Exception ErrorOf(CancellationReason reason, Exception? error) => reason switch
        {
            CancellationReason.Deadline => new DeadlineExceededException(what, deadline.Budget, started: true, error),
            CancellationReason.Shutdown => new OperationUnavailableException(what, "its process is stopping", error),
            CancellationReason.Sibling => new OperationCanceledException("A sibling failed.", error, tokens.Siblings),
            _ => new OperationCanceledException("The caller left.", error, tokens.Caller),
        };
    }

    private void RecordOverrun(TimeSpan overrun)
    {
        if (overrun == TimeSpan.Zero) return;
        DeadlineTelemetry.RecordOverrun(overrun);
        Interlocked.Increment(ref _spent);
        if (overrun > _options.Grace * 2) Interlocked.Increment(ref _late);
        var worst = Volatile.Read(ref _worstOverrun);
        while (overrun.Ticks > worst && Interlocked.CompareExchange(ref _worstOverrun, overrun.Ticks, worst) is var now && now != worst) worst = now;
    }

    private void LeaveBehind(string what, Task running, RunScope scope)
    {
        DeadlineTelemetry.LeftBehind(+1);
        LogLeftBehind(_logger, what, _options.Grace, scope.Reason);
        var straggler = new Straggler(what) { Task = running };
        _leftBehind[straggler] = straggler;
        _ = EndAsync(); // ends with the work, which DisposeAsync waits for

        async Task EndAsync()
        {
            await running.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            _leftBehind.TryRemove(straggler, out _);
            DeadlineTelemetry.LeftBehind(-1);
            _scopes.Return(scope);
        }
    }

    private async Task RunDetachedAsync(Straggler straggler, Deadline deadline, Func<CancellationToken, ValueTask> work)
    {
        AmbientDeadline.Enter(deadline, attempt: 1); // not the one of who asked
        try
        {
            await RunAsync(straggler.Name, deadline, work, static async (run, scope) =>
            {
                await run(scope.Token).ConfigureAwait(false);
                return true;
            }, new RunTokens(default, default, _stopping.Token)).ConfigureAwait(false);
            DeadlineTelemetry.CountDetached(straggler.Name, "done");
        }
        catch (Exception error) // nobody waits for it: logged and counted is all that can be done
        {
            LogDetachedFailed(_logger, straggler.Name, error);
            DeadlineTelemetry.CountDetached(straggler.Name, error is DeadlineExceededException ? "deadline" : "failed");
        }
        finally
        {
            Interlocked.Decrement(ref _openDetached);
            _detached.TryRemove(straggler, out _);
        }
    }

    [LoggerMessage(LogLevel.Information, "{What} did not end within {Grace} of its cancellation ({Reason}): it runs on, and is counted until it ends")]
    private static partial void LogLeftBehind(ILogger logger, string what, TimeSpan grace, CancellationReason reason);

    [LoggerMessage(LogLevel.Warning, "{What} did not stop with its process")]
    private static partial void LogNotStopped(ILogger logger, string what);

    [LoggerMessage(LogLevel.Error, "Detached work {Name} failed")]
    private static partial void LogDetachedFailed(ILogger logger, string name, Exception error);

    /// <summary>Work for which nobody waits.</summary>
    private sealed class Straggler(string name)
    {
        public string Name => name;

        public Task Task { get; set; } = Task.CompletedTask;
    }

    private sealed class ScopePolicy(TimeProvider time) : PooledObjectPolicy<RunScope>
    {
        public override RunScope Create() => new(time);

        public override bool Return(RunScope obj) => obj.TryEnd();
    }
}

/// <summary>How callers heard of deadlines that had passed.</summary>
/// <param name="Count">How many.</param>
/// <param name="Late">How many of them later than twice <see cref="DeadlineOptions.Grace"/>: the machine was too busy.</param>
/// <param name="Worst">The longest time after a deadline.</param>
public readonly record struct BudgetOverruns(long Count, long Late, TimeSpan Worst);
