using System.Threading.RateLimiting;

namespace DistributedPatterns.RateLimiting;

/// <summary>Several limits at once, all or nothing: a request that one limit denies costs none of the others.</summary>
/// <remarks>
/// For one tenant's second and day, or a rate beside a concurrency limit. <see cref="RateLimiter.CreateChained"/> takes from one
/// limiter after the other and cannot give tokens back, so what the last denies has cost the first. This one looks at all under
/// one lock before it takes from any, so the limits must be used through it alone; it disposes them.
/// <para>Retry-after is the longest of the limits', and nothing when one of them cannot tell.</para>
/// </remarks>
public sealed class LocalCompositeRateLimiter : LocalRateLimiter
{
    private readonly Lock _gate = new();
    private readonly LocalRateLimiter[] _limits;

    /// <summary>Makes a limiter of limits that nobody else uses.</summary>
    /// <param name="limits">From 1 to 8.</param>
    /// <param name="queueLimit">How many permits may be waited for; from 0 (nobody waits).</param>
    /// <param name="time">For those who wait; the limits have their own.</param>
    public LocalCompositeRateLimiter(IReadOnlyList<LocalRateLimiter> limits, int queueLimit = 0, TimeProvider? time = null) : base(queueLimit, time ?? TimeProvider.System)
    {
        ArgumentNullException.ThrowIfNull(limits);
        ArgumentOutOfRangeException.ThrowIfNegative(queueLimit);
        if (limits.Count is < 1 or > 8) throw new ArgumentException($"From 1 to 8 limits can be one, not {limits.Count}.", nameof(limits));
        _limits = [.. limits];
        foreach (var limit in _limits.OfType<LocalConcurrencyRateLimiter>()) limit.Released = Pulse;
    }

    /// <inheritdoc/>
    public override int Burst => _limits.Min(limit => limit.Burst);

    private protected override long Available => _limits.Min(limit => limit.AvailableNow);

    private protected override bool TryTake(int permits)
    {
        lock (_gate)
        {
            foreach (var limit in _limits)
                if (limit.WaitFor(permits, 0) != TimeSpan.Zero) return false;
            for (var taken = 0; taken < _limits.Length; taken++)
            {
                if (_limits[taken].TakeNow(permits)) continue;
                // Somebody used a limit past this one. What time earns is lost; what is held must not be.
                for (var i = 0; i < taken; i++) _limits[i].LeaseOf(permits).Dispose();
                return false;
            }
            return true;
        }
    }

    private protected override TimeSpan? UntilAvailable(int permits, long ahead) => Longest(limit => limit.WaitFor(permits, ahead));

    private protected override TimeSpan? UntilFull() => Longest(limit => limit.FullIn());

    private protected override RateLimitLease CreateLease(int permits) =>
        permits > 0 && _limits.Any(limit => limit is LocalConcurrencyRateLimiter)
            ? new AllLeases(this, [.. _limits.Select(limit => limit.LeaseOf(permits))])
            : base.CreateLease(permits);

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        base.Dispose(disposing);
        foreach (var limit in _limits) limit.Dispose();
    }

    private TimeSpan? Longest(Func<LocalRateLimiter, TimeSpan?> wait)
    {
        var longest = TimeSpan.MinValue;
        foreach (var limit in _limits)
        {
            if (wait(limit) is not { } one) return null;
            if (one > longest) longest = one;
        }
        return longest;
    }

    private sealed class AllLeases(LocalRateLimiter limiter, RateLimitLease[] leases) : RateLimitLease
    {
        public override bool IsAcquired => true;

        public override IEnumerable<string> MetadataNames => [RateLimitMetadata.Remaining.Name];

        public override bool TryGetMetadata(string metadataName, out object? metadata)
        {
            metadata = LocalLease.Read(limiter, metadataName);
            return metadata is not null;
        }

        protected override void Dispose(bool disposing)
        {
            foreach (var lease in leases) lease.Dispose();
            base.Dispose(disposing);
        }
    }
}
