using System.Threading.RateLimiting;

namespace DistributedPatterns.RateLimiting;

/// <summary>A limiter that lives in one process. Admitting and denying take no lock and no memory while nobody waits.</summary>
/// <remarks>
/// Time is the <see cref="TimeProvider"/>'s monotonic timestamps. With the system's own provider a decision that is the same
/// at any moment of the last 40 ms is made without reading the exact clock; a machine that stalls its coarse clock for longer
/// than that can, once, admit what the rate earns in the stall.
/// </remarks>
public abstract class LocalRateLimiter : MeteredRateLimiter, IPermitSource
{
    private readonly WaitQueue _queue;
    private readonly LocalLease _granted;
    private LocalLease? _denied;
    private volatile bool _disposed;

    private protected LocalRateLimiter(int queueLimit, TimeProvider time)
    {
        _queue = new WaitQueue(this, queueLimit, time);
        _granted = new LocalLease(this, null, 0);
    }

    /// <inheritdoc/>
    public override TimeSpan? IdleDuration => _queue.IsEmpty && UntilFull() is { } left && left <= TimeSpan.Zero ? left.Negate() : null;

    private protected override long Waiting => _queue.Waiting;

    /// <summary>Takes permits if they are there now. At most <see cref="MeteredRateLimiter.Burst"/> are asked for.</summary>
    private protected abstract bool TryTake(int permits);

    /// <summary>Gets how long until permits are there for one who stands behind <paramref name="ahead"/> others; nothing when time alone does not tell.</summary>
    private protected abstract TimeSpan? UntilAvailable(int permits, long ahead);

    /// <summary>Gets how long until all permits are there, negative by how long they have been; nothing when time alone does not tell.</summary>
    private protected abstract TimeSpan? UntilFull();

    /// <summary>Makes the lease for permits that were taken.</summary>
    private protected virtual RateLimitLease CreateLease(int permits) => _granted;

    /// <summary>Serves those who wait: permits were given back.</summary>
    private protected void Pulse()
    {
        if (!_queue.IsEmpty) _queue.Pulse();
    }

    /// <inheritdoc/>
    protected override RateLimitLease AttemptAcquireCore(int permitCount)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (permitCount > Burst) return Deny(permitCount, DenialReason.NeverPossible);
        return _queue.IsEmpty && TryTake(permitCount) ? Grant(permitCount) : Deny(permitCount, DenialReason.LimitReached);
    }

    /// <inheritdoc/>
    protected override ValueTask<RateLimitLease> AcquireAsyncCore(int permitCount, CancellationToken cancellationToken)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (cancellationToken.IsCancellationRequested)
        {
            Counters.Cancelled();
            return ValueTask.FromCanceled<RateLimitLease>(cancellationToken);
        }
        if (permitCount > Burst) return new(Deny(permitCount, DenialReason.NeverPossible));
        return _queue.IsEmpty && TryTake(permitCount) ? new(Grant(permitCount)) : _queue.AcquireAsync(permitCount, cancellationToken);
    }

    private protected override ValueTask<RateLimitLease> TryAcquireAsyncCore(int permitCount, CancellationToken cancellationToken) =>
        cancellationToken.IsCancellationRequested ? AcquireAsyncCore(permitCount, cancellationToken) : new(AttemptAcquireCore(permitCount));

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        _disposed = true;
        if (disposing) _queue.Dispose();
        base.Dispose(disposing);
    }

    /// <inheritdoc/>
    protected override ValueTask DisposeAsyncCore()
    {
        Dispose(true);
        return base.DisposeAsyncCore();
    }

    bool IPermitSource.TryTake(int permits) => TryTake(permits);

    TimeSpan? IPermitSource.UntilAvailable(int permits) => UntilAvailable(permits, 0);

    RateLimitLease IPermitSource.Grant(int permits) => Grant(permits);

    RateLimitLease IPermitSource.Deny(int permits, DenialReason reason) => Deny(permits, reason);

    void IPermitSource.OnCancelled() => Counters.Cancelled();

    /// <summary>Gets how long one who comes now would wait for permits.</summary>
    internal TimeSpan? RetryAfter(int permits) => UntilAvailable(permits, _queue.Waiting);

    internal override ValueTask<TimeSpan?> RetryAfterAsync(int permits, CancellationToken cancellationToken) => new(RetryAfter(permits));

    internal long Remaining => _queue.IsEmpty ? Available : 0;

    internal TimeSpan? ResetAfter => UntilFull() is { } left ? (left > TimeSpan.Zero ? left : TimeSpan.Zero) : null;

    // What the members of a composite are asked, under its lock.
    internal TimeSpan? WaitFor(int permits, long ahead) => UntilAvailable(permits, ahead);

    internal bool TakeNow(int permits) => TryTake(permits);

    internal RateLimitLease LeaseOf(int permits) => CreateLease(permits);

    internal TimeSpan? FullIn() => UntilFull();

    internal long AvailableNow => Available;

    private RateLimitLease Grant(int permits)
    {
        Counters.Admitted.Increment();
        return CreateLease(permits);
    }

    private LocalLease Deny(int permits, DenialReason reason)
    {
        if (reason == DenialReason.NeverPossible) Counters.Never();
        else Counters.Denied.Increment();
        // Most denials are alike, and a lease that is not acquired holds nothing, so they may share one.
        if (_denied is { } last && last.Permits == permits && last.Reason == reason) return last;
        return _denied = new LocalLease(this, reason, permits);
    }
}
