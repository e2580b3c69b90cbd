namespace DistributedPatterns.Deadlines.Engine;

/// <summary>The token of one run: cancelled by whoever is first, and never again by a run that had it before. Used again once its run has ended uncancelled.</summary>
/// <remarks>
/// What a run needs is left in place for the next one: a timer that is set for an earlier moment looks again when it fires, and
/// a token that is followed already is not followed anew. So a thousand runs a second under a budget of a second set one timer,
/// and a loop's runs follow its stopping token once.
/// </remarks>
internal sealed class RunScope : IDisposable
{
    private const long Idle = long.MaxValue;
    private const long Cancelled = long.MinValue;

    private static readonly TimeSpan s_longestTimer = TimeSpan.FromDays(40); // it looks again then

    private readonly TimeProvider _time;
    private readonly CancellationTokenSource _source = new();
    private readonly ITimer _timer;
    private readonly Lock _arming = new();
    private Followed _caller;
    private Followed _siblings;
    private Followed _shutdown;
    private long _due = Idle; // one word says it all, so that ending and cancelling cannot both win
    private long _armedFor = Idle;
    private int _reason;

    public RunScope(TimeProvider time)
    {
        _time = time;
        _timer = time.CreateTimer(static scope => ((RunScope)scope!).OnTimer(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    public CancellationToken Token => _source.Token;

    public CancellationReason Reason => (CancellationReason)Volatile.Read(ref _reason);

    /// <summary>Begins a run of an idle scope.</summary>
    public void Begin(Deadline deadline, in RunTokens tokens)
    {
        // First the tokens of the run before: letting go of one waits for its callback, so that it cannot reach this run.
        _caller.Change(static scope => ((RunScope)scope!).Cancel(CancellationReason.Caller), this, tokens.Caller);
        _siblings.Change(static scope => ((RunScope)scope!).Cancel(CancellationReason.Sibling), this, tokens.Siblings);
        _shutdown.Change(static scope => ((RunScope)scope!).Cancel(CancellationReason.Shutdown), this, tokens.Shutdown);
        var due = deadline.IsNone ? Idle - 1 : deadline.Due;
        Interlocked.Exchange(ref _due, due); // before the look at the timer, which clears and then looks here
        if (Volatile.Read(ref _armedFor) > due && !deadline.IsNone) Arm(due);
        // A callback that came while the scope was idle did nothing.
        if (tokens.Caller.IsCancellationRequested) Cancel(CancellationReason.Caller);
        if (tokens.Siblings.IsCancellationRequested) Cancel(CancellationReason.Sibling);
        if (tokens.Shutdown.IsCancellationRequested) Cancel(CancellationReason.Shutdown);
    }

    /// <summary>Ends the run.</summary>
    /// <returns>Whether the scope can serve another one.</returns>
    public bool TryEnd() => Interlocked.Exchange(ref _due, Idle) != Cancelled && _source.TryReset();

    // The source is left to the collector: it has no timer and no handle, and a cancellation under way must not meet a disposed one.
    public void Dispose()
    {
        _timer.Dispose();
        _caller.Leave();
        _siblings.Leave();
        _shutdown.Leave();
    }

    private void Cancel(CancellationReason reason)
    {
        for (var due = Volatile.Read(ref _due); due is not (Idle or Cancelled); due = Volatile.Read(ref _due))
        {
            // Callers across a connection share the deadline: one that leaves at it can be heard before a busy process' own timer.
            if (TryCancel(due, _time.GetTimestamp() >= due ? CancellationReason.Deadline : reason)) return;
        }
    }

    private bool TryCancel(long due, CancellationReason reason)
    {
        if (Interlocked.CompareExchange(ref _due, Cancelled, due) != due) return false;
        Volatile.Write(ref _reason, (int)reason);
        _source.Cancel();
        return true;
    }

    private void Arm(long due)
    {
        lock (_arming)
        {
            if (_armedFor <= due) return;
            Volatile.Write(ref _armedFor, due);
            var now = _time.GetTimestamp();
            // Timers count whole milliseconds and round down: up, or it fires before the time and again.
            var wait = now >= due ? TimeSpan.Zero : TimeSpan.FromMilliseconds(Math.Ceiling(_time.GetElapsedTime(now, due).TotalMilliseconds));
            _timer.Change(wait < s_longestTimer ? wait : s_longestTimer, Timeout.InfiniteTimeSpan);
        }
    }

    private void OnTimer()
    {
        lock (_arming) Interlocked.Exchange(ref _armedFor, Idle);
        var due = Volatile.Read(ref _due);
        if (due is Cancelled or >= Idle - 1) return;
        // The same moment stands for the same deadline, whichever run has it by now.
        if (_time.GetTimestamp() < due || !TryCancel(due, CancellationReason.Deadline)) Arm(due);
    }

    /// <summary>A token of others that the scope follows.</summary>
    private struct Followed
    {
        private CancellationToken _token;
        private CancellationTokenRegistration _registration;

        public void Change(Action<object?> onCancelled, RunScope scope, CancellationToken token)
        {
            if (token == _token) return;
            _registration.Dispose();
            (_token, _registration) = (token, token.UnsafeRegister(onCancelled, scope));
        }

        // Without waiting for a callback under way: it may be what ended the run.
        public readonly void Leave() => _registration.Unregister();
    }
}

/// <summary>Who can end a run before its deadline.</summary>
internal readonly record struct RunTokens(CancellationToken Caller, CancellationToken Siblings = default, CancellationToken Shutdown = default);
