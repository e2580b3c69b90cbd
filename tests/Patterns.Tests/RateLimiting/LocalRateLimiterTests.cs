using DistributedPatterns.Diagnostics;
using DistributedPatterns.RateLimiting;
using DistributedPatterns.Tests.Guarantees;
using Microsoft.Extensions.Time.Testing;

namespace DistributedPatterns.Tests.RateLimiting;

/// <summary>The contract in process, on a clock that the test moves.</summary>
[Guarantees("rate-limiting", Variants.Channel)]
[Promises(Guarantee.Order, "who waits is served by arrival", nameof(Acquire_ByManyWhoWait_ServesThemInOrder), nameof(TryAcquire_WhileOthersWait_DoesNotOvertakeThem))]
[Promises(Guarantee.Delivery, "never more permits than the limit allows, by the process' clock", nameof(TryAcquire_ByManyAtOnce_StaysWithinTheBoundByTheLimitersClock))]
[DoesNotPromise(Guarantee.ProcessDeath, "the limit begins anew")]
[DoesNotPromise(Guarantee.StaleHolder, "there is none")]
[Promises(Guarantee.Full, "who would wait beyond `QueueLimit` is refused", nameof(Acquire_MoreThanTheQueueHolds_IsDeniedAtOnce))]
public abstract class LocalRateLimiterTests : RateLimiterConformance
{
    private protected abstract LocalRateLimiter Make(LimitSpec spec, TimeProvider time);

    private protected abstract Func<TimeSpan, double> BoundOf(LimitSpec spec);

    private protected override ValueTask<LimiterHost> CreateAsync(LimitSpec spec)
    {
        var time = new FakeTimeProvider();
        var start = time.GetTimestamp();
        return new(new LimiterHost(
            Make(spec, time),
            pass =>
            {
                lock (time) time.Advance(pass);
                return Task.CompletedTask;
            },
            () => new(time.GetElapsedTime(start)), BoundOf(spec)));
    }
}

public sealed class LocalGcraRateLimiterTests : LocalRateLimiterTests
{
    private protected override LocalRateLimiter Make(LimitSpec spec, TimeProvider time) => new LocalGcraRateLimiter(spec.Bucket, time);

    private protected override Func<TimeSpan, double> BoundOf(LimitSpec spec) => Bounds.Gcra(spec);
}

public sealed class LocalTokenBucketRateLimiterTests : LocalRateLimiterTests
{
    // One token a step, or a step would earn more than the burst.
    private protected override LocalRateLimiter Make(LimitSpec spec, TimeProvider time) => new LocalTokenBucketRateLimiter(Stepped(spec).Bucket, time);

    private protected override Func<TimeSpan, double> BoundOf(LimitSpec spec) => Bounds.TokenBucket(Stepped(spec));

    private static LimitSpec Stepped(LimitSpec spec) => spec with { Permits = 1, Period = spec.Period / spec.Permits };
}

public sealed class LocalWindowCounterRateLimiterTests : LocalRateLimiterTests
{
    private protected override LocalRateLimiter Make(LimitSpec spec, TimeProvider time) => new LocalWindowCounterRateLimiter(spec.Window, time);

    private protected override Func<TimeSpan, double> BoundOf(LimitSpec spec) => Bounds.WindowCounter(spec);
}

public sealed class LocalWindowLogRateLimiterTests : LocalRateLimiterTests
{
    private protected override LocalRateLimiter Make(LimitSpec spec, TimeProvider time) => new LocalWindowLogRateLimiter(spec.Window, time);

    private protected override Func<TimeSpan, double> BoundOf(LimitSpec spec) => Bounds.WindowLog(spec);
}

/// <summary>A composite of a limit that matters and one that never does keeps the same contract.</summary>
public sealed class LocalCompositeRateLimiterConformanceTests : LocalRateLimiterTests
{
    private protected override LocalRateLimiter Make(LimitSpec spec, TimeProvider time) => new LocalCompositeRateLimiter(
        [new LocalGcraRateLimiter(spec.Bucket, time), new LocalWindowLogRateLimiter(new WindowOptions { Permits = 100_000 }, time)], spec.QueueLimit, time);

    private protected override Func<TimeSpan, double> BoundOf(LimitSpec spec) => Bounds.Gcra(spec);
}
