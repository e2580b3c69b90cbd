using System.Diagnostics;
using DistributedPatterns.Diagnostics;
using DistributedPatterns.RateLimiting;
using DistributedPatterns.Tests.Guarantees;
using DistributedPatterns.Tests.Support;
using StackExchange.Redis;

namespace DistributedPatterns.Tests.RateLimiting;

/// <summary>The contract over a real server, by its clock.</summary>
[Guarantees("rate-limiting", Variants.Distributed, typeof(RedisRateLimiterSharedTests))]
[Promises(Guarantee.Order, "by arrival in a process; over processes for concurrency alone",
    nameof(Acquire_ByManyWhoWait_ServesThemInOrder), nameof(RedisRateLimiterSharedTests.Concurrency_WaitersOfTwoInstances_AreServedInOrderOfArrival))]
[Promises(Guarantee.Delivery, "never more permits than the limit allows, for all processes, by the server's clock; a lost reply may cost some",
    nameof(RedisRateLimiterSharedTests.Gcra_OverThreeInstancesWithSkewedClocks_StaysWithinTheBoundByTheServersClock),
    nameof(RedisRateLimiterSharedTests.Gcra_LostReply_CostsAPermitAndNeverAdmitsMore))]
[Promises(Guarantee.ProcessDeath, "what it held comes back after the lease", nameof(RedisRateLimiterSharedTests.Concurrency_ProcessDies_ItsPermitsComeBackAfterTheLease))]
[Promises(Guarantee.StaleHolder, "neither renews nor releases, by its token", nameof(RedisRateLimiterSharedTests.Concurrency_ScriptRepeatedOrWithAnOldToken_ChangesNothing))]
[Promises(Guarantee.Full, "who would wait beyond `QueueLimit` is refused", nameof(Acquire_MoreThanTheQueueHolds_IsDeniedAtOnce))]
public abstract class RedisRateLimiterTests(SharedRedis shared, RedisKind kind) : RateLimiterConformance
{
    protected override bool TellsRetryAfterExactly => false; // real time passes between two calls

    private protected abstract RedisRateLimiter Make(RedisLimitStore store, RedisLimitOptions where, LimitSpec spec);

    private protected abstract Func<TimeSpan, double> BoundOf(LimitSpec spec);

    private protected override async ValueTask<LimiterHost> CreateAsync(LimitSpec spec)
    {
        var redis = await (await shared.OfAsync(kind)).ConnectAsync();
        var store = new RedisLimitStore(redis, new RedisLimitStoreOptions { AnswerLimit = TimeSpan.FromSeconds(10) });
        return new LimiterHost(
            Make(store, new RedisLimitOptions { Name = SharedRedis.NewTag(), WhenDown = OutagePolicy.Closed }, spec),
            PassAsync, () => ServerTimeAsync(redis), BoundOf(spec),
            async () =>
            {
                await store.DisposeAsync();
                await redis.DisposeAsync();
            });
    }

    internal static async Task PassAsync(TimeSpan time)
    {
        for (var since = Stopwatch.GetTimestamp(); Stopwatch.GetElapsedTime(since) < time;)
            await Task.Delay(TimeSpan.FromMilliseconds(1), TimeProvider.System, TestStop);
    }

    internal static async ValueTask<TimeSpan> ServerTimeAsync(IConnectionMultiplexer redis)
    {
        var time = (RedisResult[])(await redis.GetDatabase().ExecuteAsync("TIME"))!;
        return TimeSpan.FromSeconds((long)time[0]) + TimeSpan.FromMicroseconds((long)time[1]);
    }
}

public abstract class RedisGcraRateLimiterTests(SharedRedis shared, RedisKind kind) : RedisRateLimiterTests(shared, kind)
{
    private protected override RedisRateLimiter Make(RedisLimitStore store, RedisLimitOptions where, LimitSpec spec) =>
        new RedisGcraRateLimiter(store, where, new RedisGcraOptions { Limits = { spec.Rule }, QueueLimit = spec.QueueLimit });

    private protected override Func<TimeSpan, double> BoundOf(LimitSpec spec) => Bounds.Gcra(spec);
}

public sealed class RedisGcraOnGarnetTests(SharedRedis shared) : RedisGcraRateLimiterTests(shared, RedisKind.Garnet);

public sealed class RedisGcraOnRedisTests(SharedRedis shared) : RedisGcraRateLimiterTests(shared, RedisKind.Redis);

public abstract class RedisWindowCounterRateLimiterTests(SharedRedis shared, RedisKind kind) : RedisRateLimiterTests(shared, kind)
{
    private protected override RedisRateLimiter Make(RedisLimitStore store, RedisLimitOptions where, LimitSpec spec) =>
        new RedisWindowCounterRateLimiter(store, where, spec.Window);

    private protected override Func<TimeSpan, double> BoundOf(LimitSpec spec) => Bounds.WindowCounter(spec);
}

public sealed class RedisWindowCounterOnGarnetTests(SharedRedis shared) : RedisWindowCounterRateLimiterTests(shared, RedisKind.Garnet);

public sealed class RedisWindowCounterOnRedisTests(SharedRedis shared) : RedisWindowCounterRateLimiterTests(shared, RedisKind.Redis);

public abstract class RedisWindowLogRateLimiterTests(SharedRedis shared, RedisKind kind) : RedisRateLimiterTests(shared, kind)
{
    private protected override RedisRateLimiter Make(RedisLimitStore store, RedisLimitOptions where, LimitSpec spec) =>
        new RedisWindowLogRateLimiter(store, where, spec.Window);

    private protected override Func<TimeSpan, double> BoundOf(LimitSpec spec) => Bounds.WindowLog(spec);
}

public sealed class RedisWindowLogOnGarnetTests(SharedRedis shared) : RedisWindowLogRateLimiterTests(shared, RedisKind.Garnet);

public sealed class RedisWindowLogOnRedisTests(SharedRedis shared) : RedisWindowLogRateLimiterTests(shared, RedisKind.Redis);
