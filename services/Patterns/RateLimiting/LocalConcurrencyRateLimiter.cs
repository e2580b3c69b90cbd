using System.Threading.RateLimiting;

namespace DistributedPatterns.RateLimiting;

/// <summary>At most so many permits are held at the same time. Dispose the lease to give its permits back; twice is once.</summary>
/// <remarks>A denial has no retry-after: when a holder is done is not known. Those who wait are served first come, first served.</remarks>
public sealed class LocalConcurrencyRateLimiter : LocalRateLimiter
{
    private readonly LimiterClock _clock;
    private int _free;
    private long _fullSince;

    /// <summary>Makes a limiter with all permits free.</summary>
    /// <exception cref="ArgumentException">An option is out of its range.</exception>
    public LocalConcurrencyRateLimiter(ConcurrencyOptions options, TimeProvider? time = null) : base(OptionsGuard.Checked(options).QueueLimit, time ?? TimeProvider.System)
    {
        _clock = new LimiterClock(time ?? TimeProvider.System);
        Burst = _free = options.Permits;
    }

    /// <inheritdoc/>
    public override int Burst { get; }

    /// <summary>Gets or sets what else has to know that permits came back.</summary>
    internal Action? Released { get; set; }

    private protected override long Available => Volatile.Read(ref _free);

    private protected override bool TryTake(int permits)
    {
        while (true)
        {
            var free = Volatile.Read(ref _free);
            if (free < Math.Max(1, permits)) return false;
            if (permits == 0 || Interlocked.CompareExchange(ref _free, free - permits, free) == free) return true;
        }
    }

    private protected override TimeSpan? UntilAvailable(int permits, long ahead) =>
        Volatile.Read(ref _free) >= Math.Max(1, permits) + ahead ? TimeSpan.Zero : null;

    private protected override TimeSpan? UntilFull() =>
        Volatile.Read(ref _free) == Burst ? TimeSpan.FromTicks(Volatile.Read(ref _fullSince) - _clock.Now) : null;

    private protected override RateLimitLease CreateLease(int permits) => permits == 0 ? base.CreateLease(0) : new Held(this, permits);

    private void Release(int permits)
    {
        // The time first: whoever sees the last permit back must not read an older one.
        Volatile.Write(ref _fullSince, _clock.Now);
        Interlocked.Add(ref _free, permits);
        Pulse();
        Released?.Invoke();
    }

    private sealed class Held(LocalConcurrencyRateLimiter limiter, int permits) : RateLimitLease
    {
        private int _given;

        public override bool IsAcquired => true;

        public override IEnumerable<string> MetadataNames => [RateLimitMetadata.Remaining.Name];

        public override bool TryGetMetadata(string metadataName, out object? metadata)
        {
            metadata = LocalLease.Read(limiter, metadataName);
            return metadata is not null;
        }

        protected override void Dispose(bool disposing)
        {
            if (Interlocked.Exchange(ref _given, 1) == 0) limiter.Release(permits);
            base.Dispose(disposing);
        }
    }
}
