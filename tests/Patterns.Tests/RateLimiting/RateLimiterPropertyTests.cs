using CsCheck;
using DistributedPatterns.RateLimiting;
using Microsoft.Extensions.Time.Testing;

namespace DistributedPatterns.Tests.RateLimiting;

/// <summary>Random requests at random times against the algorithms as a textbook has them, in exact arithmetic.</summary>
public sealed class RateLimiterPropertyTests
{
    private sealed record Step(long PassTicks, int Cost);

    private sealed record Plan(int Permits, long PeriodTicks, int Burst, Step[] Steps);

    private static readonly Gen<Plan> s_plan = Gen.Select(
        Gen.Int[1, 1_000], Gen.OneOf(Gen.Long[100_000, 100_000_000], Gen.Const(10_000_000L), Gen.Const(600_000_000L)), Gen.Int[1, 20],
        Gen.Select(Gen.Double[0, 3], Gen.Int[0, 6], (scale, cost) => (scale, cost)).Array[1, 60],
        // Steps of about the time that a permit takes, so that limits are met from both sides.
        (permits, period, burst, steps) => new Plan(permits, period, burst, [.. steps.Select(step => new Step((long)(step.scale * period / permits), step.cost))]));

    [Fact]
    public void Gcra_AnyRequests_DecidesAsTheContinuousTokenBucket() => s_plan.Sample(plan =>
    {
        var (limiter, time) = Make(plan, (bucket, clock) => new LocalGcraRateLimiter(bucket, clock));
        // Tokens in units of 1 / period: each tick earns permits, a permit costs period.
        Int128 level = (Int128)plan.Burst * plan.PeriodTicks;
        Run(plan, limiter, time,
            (passed, cost) =>
            {
                level = Int128.Min((Int128)plan.Burst * plan.PeriodTicks, level + ((Int128)passed * plan.Permits));
                return Take(ref level, cost, plan.PeriodTicks);
            },
            cost => RoundUp(((Int128)Math.Max(1, cost) * plan.PeriodTicks) - level, plan.Permits));
    });

    [Fact]
    public void TokenBucket_AnyRequests_DecidesAsTheSteppedOne() => s_plan.Sample(plan =>
    {
        var (limiter, time) = Make(plan, (bucket, clock) => new LocalTokenBucketRateLimiter(bucket, clock));
        var (level, now) = ((Int128)plan.Burst, 0L);
        Run(plan, limiter, time,
            (passed, cost) =>
            {
                var steps = ((now + passed) / plan.PeriodTicks) - (now / plan.PeriodTicks);
                now += passed;
                level = Int128.Min(plan.Burst, level + (steps * plan.Permits));
                return Take(ref level, cost, 1);
            },
            cost => (RoundUp(Math.Max(1, cost) - level, plan.Permits) * plan.PeriodTicks) - (now % plan.PeriodTicks));
    });

    [Fact]
    public void WindowLog_AnyRequests_CountsWhatTheWindowHolds() => s_plan.Sample(plan =>
    {
        var window = Math.Max(100_000, plan.PeriodTicks);
        var time = new FakeTimeProvider();
        using var limiter = new LocalWindowLogRateLimiter(new WindowOptions { Permits = plan.Burst, Window = TimeSpan.FromTicks(window) }, time);
        var (given, now) = (new List<long>(), 0L);
        Run(plan, limiter, time,
            (passed, cost) =>
            {
                now += passed;
                given.RemoveAll(at => at + window <= now);
                if (given.Count + Math.Max(1, cost) > plan.Burst) return false;
                given.AddRange(Enumerable.Repeat(now, cost));
                return true;
            },
            cost => given[given.Count + Math.Max(1, cost) - plan.Burst - 1] + window - now);
    });

    [Fact]
    public void WindowCounter_AnyRequests_WeighsTheLastWindow() => s_plan.Sample(plan =>
    {
        var window = Math.Max(100_000, plan.PeriodTicks);
        var time = new FakeTimeProvider();
        using var limiter = new LocalWindowCounterRateLimiter(new WindowOptions { Permits = plan.Burst, Window = TimeSpan.FromTicks(window) }, time);
        var (counts, now) = (new Dictionary<long, long>(), 0L);
        bool Fits(long at, int cost) =>
            (((Int128)counts.GetValueOrDefault(at / window) + Math.Max(1, cost)) * window) + ((Int128)counts.GetValueOrDefault((at / window) - 1) * (window - (at % window)))
            <= (Int128)plan.Burst * window;
        Run(plan, limiter, time,
            (passed, cost) =>
            {
                now += passed;
                if (!Fits(now, cost)) return false;
                counts[now / window] = counts.GetValueOrDefault(now / window) + cost;
                return true;
            },
            cost =>
            {
                // The first moment that fits, found by halving: once it fits it goes on to, for only old counts fade.
                var (low, high) = (0L, 3 * window);
                while (high - low > 1)
                {
                    var middle = (low + high) / 2;
                    (low, high) = Fits(now + middle, cost) ? (low, middle) : (middle, high);
                }
                return high;
            });
    });

    private static void Run(Plan plan, LocalRateLimiter limiter, FakeTimeProvider time, Func<long, int, bool> model, Func<int, Int128> wait)
    {
        var passed = 0L; // since the model was asked last
        foreach (var step in plan.Steps)
        {
            time.Advance(TimeSpan.FromTicks(step.PassTicks));
            passed += step.PassTicks;
            var expected = step.Cost <= plan.Burst && model(passed, step.Cost);
            if (step.Cost <= plan.Burst) passed = 0;
            using var lease = limiter.AttemptAcquire(step.Cost);
            Assert.Equal(expected, lease.IsAcquired);
            if (step.Cost > plan.Burst) Assert.Equal(DenialReason.NeverPossible, lease.GetDenialReason());
            else if (!expected) Assert.Equal((long)wait(step.Cost), lease.GetRetryAfter()!.Value.Ticks);
        }
    }

    private static (T Limiter, FakeTimeProvider Time) Make<T>(Plan plan, Func<BucketOptions, TimeProvider, T> make)
    {
        var time = new FakeTimeProvider();
        return (make(new BucketOptions { Permits = plan.Permits, Period = TimeSpan.FromTicks(plan.PeriodTicks), Burst = plan.Burst }, time), time);
    }

    private static bool Take(ref Int128 level, int cost, Int128 each)
    {
        if (level < Math.Max(1, cost) * each) return false;
        level -= cost * each;
        return true;
    }

    private static Int128 RoundUp(Int128 value, Int128 by) => (value + by - 1) / by;
}
