using System.Threading.RateLimiting;

namespace DistributedPatterns.RateLimiting;

/// <summary>What the buckets of all keys have in common.</summary>
internal sealed record KeyedBucketShape(Bucket Bucket, int QueueLimit, LedgerCounters Counters)
{
    /// <summary>Gets the lease of everyone who was admitted: what it tells is not worth an object a request.</summary>
    public RateLimitLease Admitted { get; } = new AdmittedLease();

    private sealed class AdmittedLease : RateLimitLease
    {
        public override bool IsAcquired => true;

        public override IEnumerable<string> MetadataNames => [];

        public override bool TryGetMetadata(string metadataName, out object? metadata)
        {
            metadata = null;
            return false;
        }
    }
}

/// <summary>The bucket of one key; its queue exists only once somebody has waited.</summary>
internal sealed class KeyedBucket(KeyedBucketShape shape) : IPermitSource, IDisposable
{
    private readonly Lock _gate = new();
    private long _paidAt;
    private DeniedLease? _denied;
    private WaitQueue? _queue;

    public bool IsRetired => Volatile.Read(ref _paidAt) == Bucket.Retired;

    public long Available => shape.Bucket.Available(ref _paidAt);

    public long Waiting => Volatile.Read(ref _queue)?.Waiting ?? 0;

    /// <summary>Decides, or returns nothing when this bucket has been forgotten and the key has another.</summary>
    public RateLimitLease? TryAcquire(int permits)
    {
        if (permits > shape.Bucket.Burst) return Deny(permits, DenialReason.NeverPossible);
        if (Waiting == 0 && shape.Bucket.TryTake(ref _paidAt, permits)) return Grant();
        return IsRetired ? null : Deny(permits, DenialReason.LimitReached);
    }

    /// <summary>Waits for permits, or returns false when this bucket has been forgotten and the key has another.</summary>
    public bool TryWait(int permits, CancellationToken cancellationToken, out ValueTask<RateLimitLease> lease)
    {
        lock (_gate)
        {
            lease = default;
            if (IsRetired) return false;
            _queue ??= new WaitQueue(this, shape.QueueLimit, shape.Bucket.Clock.Provider);
            lease = _queue.AcquireAsync(permits, cancellationToken);
            return true;
        }
    }

    /// <summary>Ends this bucket if it is full and nobody waits.</summary>
    public bool TryRetire()
    {
        // Under the lock that those who begin to wait take: nobody may wait at a bucket that is forgotten.
        lock (_gate) return Waiting == 0 && shape.Bucket.TryRetire(ref _paidAt);
    }

    public void Dispose() => _queue?.Dispose();

    bool IPermitSource.TryTake(int permits) => shape.Bucket.TryTake(ref _paidAt, permits);

    TimeSpan? IPermitSource.UntilAvailable(int permits) => shape.Bucket.Until(ref _paidAt, permits, 0);

    RateLimitLease IPermitSource.Grant(int permits) => Grant();

    RateLimitLease IPermitSource.Deny(int permits, DenialReason reason) => Deny(permits, reason);

    void IPermitSource.OnCancelled() => shape.Counters.Cancelled();

    private RateLimitLease Grant()
    {
        shape.Counters.Admitted.Increment();
        return shape.Admitted;
    }

    private DeniedLease Deny(int permits, DenialReason reason)
    {
        if (reason == DenialReason.NeverPossible) shape.Counters.Never();
        else shape.Counters.Denied.Increment();
        if (_denied is { } last && last.Permits == permits && last.Reason == reason) return last;
        return _denied = new DeniedLease(this, permits, reason);
    }

    private sealed class DeniedLease(KeyedBucket bucket, int permits, DenialReason reason) : RateLimitLease
    {
        private static readonly string[] s_names = [RateLimitMetadata.Reason.Name, MetadataName.RetryAfter.Name];

        public int Permits => permits;

        public DenialReason Reason => reason;

        public override bool IsAcquired => false;

        public override IEnumerable<string> MetadataNames => s_names;

        public override bool TryGetMetadata(string metadataName, out object? metadata)
        {
            metadata = metadataName == RateLimitMetadata.Reason.Name ? reason
                : metadataName == MetadataName.RetryAfter.Name && reason is DenialReason.LimitReached or DenialReason.QueueFull
                    ? bucket.RetryAfter(permits)
                : null;
            return metadata is not null;
        }
    }

    private TimeSpan RetryAfter(int permits) => IsRetired ? TimeSpan.Zero : shape.Bucket.Until(ref _paidAt, permits, Waiting);
}
