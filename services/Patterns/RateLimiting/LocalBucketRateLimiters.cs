namespace DistributedPatterns.RateLimiting;

/// <summary>Permits are earned evenly up to a burst: the generic cell rate algorithm, one <see langword="long"/> of state.</summary>
/// <remarks>
/// The same as a token bucket that is refilled continuously. In any time t at most burst + rate × t permits are admitted,
/// and one who was denied and comes back after <see cref="System.Threading.RateLimiting.MetadataName.RetryAfter"/> is admitted,
/// to the tick of 100 ns. Rates of the form n permits in a period are exact where n / period in ticks reduces to a numerator of
/// up to 1,024, otherwise less by under 0.1 %, never more.
/// </remarks>
public sealed class LocalGcraRateLimiter : LocalBucketRateLimiter
{
    /// <summary>Makes a limiter with all permits there.</summary>
    /// <exception cref="ArgumentException">An option is out of its range.</exception>
    public LocalGcraRateLimiter(BucketOptions options, TimeProvider? time = null)
        : this(OptionsGuard.Checked(options).Permits, options.Period, options.Burst, options.QueueLimit, time ?? TimeProvider.System)
    {
    }

    private LocalGcraRateLimiter(int permits, TimeSpan period, int burst, int queueLimit, TimeProvider time)
        : base(Bucket.Even(new LimiterClock(time), permits, period, burst), queueLimit)
    {
    }

    /// <summary>Makes one of several that together keep to a rule: an equal part of its rate and, rounded down but at least 1, of its burst.</summary>
    internal static LocalGcraRateLimiter ShareOf(RateLimitRule rule, int instances, int queueLimit, TimeProvider time) =>
        new(rule.Permits, rule.Period * instances, Math.Max(1, rule.Burst / instances), queueLimit, time);
}

/// <summary>Permits are earned all at once at the end of each period, up to a burst.</summary>
/// <remarks>
/// What <see cref="System.Threading.RateLimiting.TokenBucketRateLimiter"/> does with a timer, without one: what a period earned
/// is added when it is asked for, so the state is right to the tick and an idle limiter costs nothing. In any time t at most
/// burst + permits × (t / period, rounded up) are admitted.
/// </remarks>
public sealed class LocalTokenBucketRateLimiter(BucketOptions options, TimeProvider? time = null) : LocalBucketRateLimiter(
    Bucket.Stepped(new LimiterClock(time ?? TimeProvider.System), OptionsGuard.Checked(options).Permits, options.Period, options.Burst), options.QueueLimit);

/// <summary>Lets one go at a time, at least an interval apart: no burst, not even after a rest.</summary>
/// <remarks>For work that is to be spread evenly, as a ticker would; unlike one it needs no timer while nobody waits, and whoever waits can give up.</remarks>
public sealed class LocalPacer(PacerOptions options, TimeProvider? time = null) : LocalBucketRateLimiter(
    Bucket.Even(new LimiterClock(time ?? TimeProvider.System), 1, OptionsGuard.Checked(options).Interval, 1), options.QueueLimit);

/// <summary>What the limiters on a <see cref="Bucket"/> share.</summary>
public abstract class LocalBucketRateLimiter : LocalRateLimiter
{
    private readonly Bucket _bucket;
    private long _paidAt;

    private protected LocalBucketRateLimiter(Bucket bucket, int queueLimit) : base(queueLimit, bucket.Clock.Provider) => _bucket = bucket;

    /// <inheritdoc/>
    public sealed override int Burst => _bucket.Burst;

    private protected sealed override long Available => _bucket.Available(ref _paidAt);

    private protected sealed override bool TryTake(int permits) => _bucket.TryTake(ref _paidAt, permits);

    private protected sealed override TimeSpan? UntilAvailable(int permits, long ahead) => _bucket.Until(ref _paidAt, permits, ahead);

    private protected sealed override TimeSpan? UntilFull() => _bucket.UntilFull(ref _paidAt);
}
