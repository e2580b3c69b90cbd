namespace DistributedPatterns.RateLimiting;

/// <summary>The counts behind a <see cref="RateLimitLedger"/>; all limiters of one table share one.</summary>
internal sealed class LedgerCounters
{
    private long _never;
    private long _cancelled;
    private long _degraded;

    public StripedCounter Admitted { get; } = new();

    public StripedCounter Denied { get; } = new();

    public void Never() => Interlocked.Increment(ref _never);

    public void Cancelled() => Interlocked.Increment(ref _cancelled);

    public void Degraded() => Interlocked.Increment(ref _degraded);

    public RateLimitLedger Read() => new(
        Admitted.Sum(), Denied.Sum(), Volatile.Read(ref _never), Volatile.Read(ref _cancelled), Volatile.Read(ref _degraded));
}
