using System.Threading.RateLimiting;
using DistributedPatterns.RateLimiting;
using DistributedPatterns.Redis;
using DistributedPatterns.Tests.Support;
using StackExchange.Redis;

namespace DistributedPatterns.Tests.RateLimiting;

/// <summary>Several instances with one limit, on connections and clocks of their own.</summary>
public abstract class RedisRateLimiterSharedTests(SharedRedis shared, RedisKind kind)
{
    private static readonly RedisLimitStoreOptions s_patient = new() { AnswerLimit = TimeSpan.FromSeconds(10) };

    private static readonly string[] s_concurrencyKeys = ["info", "holders", "waiters", "seen"];

    private static CancellationToken TestStop => TestContext.Current.CancellationToken;

    [Theory(Timeout = 60_000)]
    [InlineData(0)]
    [InlineData(5)]
    public async Task Gcra_OverThreeInstancesWithSkewedClocks_StaysWithinTheBoundByTheServersClock(int borrow)
    {
        const int Instances = 3;
        var spec = new LimitSpec(100, TimeSpan.FromSeconds(1), 20);
        var name = SharedRedis.NewTag();
        var server = await shared.OfAsync(kind);
        var connections = await Task.WhenAll(Enumerable.Range(0, Instances).Select(_ => server.ConnectAsync()));
        var stores = connections.Select((redis, i) => new RedisLimitStore(redis, s_patient, new SkewedTime(TimeSpan.FromHours(i * 7) - TimeSpan.FromHours(5)))).ToArray();
        var limiters = stores.Select(store => new RedisGcraRateLimiter(store, new RedisLimitOptions { Name = name, WhenDown = OutagePolicy.Closed },
            new RedisGcraOptions { Limits = { spec.Rule }, QueueLimit = 100, Borrow = borrow })).ToArray();

        var begun = await RedisRateLimiterTests.ServerTimeAsync(connections[0]);
        var admitted = 0L;
        await Task.WhenAll(limiters.SelectMany(limiter => Enumerable.Range(0, 4).Select(_ => Task.Run(async () =>
        {
            for (var i = 0; i < 100; i++)
            {
                if ((await limiter.TryAcquireAsync(1 + (i % 3), TestStop)).IsAcquired) Interlocked.Add(ref admitted, 1 + (i % 3));
            }
        }))));
        var elapsed = await RedisRateLimiterTests.ServerTimeAsync(connections[0]) - begun;

        Assert.InRange(admitted, spec.Burst - (borrow * Instances), Bounds.Gcra(spec)(elapsed) + (borrow * Instances));
        foreach (var limiter in limiters) await limiter.DisposeAsync();
        foreach (var store in stores) await store.DisposeAsync();
        foreach (var redis in connections) await redis.DisposeAsync();
    }

    [Fact(Timeout = 60_000)]
    public async Task Gcra_CallersThatComeTogether_GetTheAnswersOfOneAfterAnother()
    {
        await using var redis = await (await shared.OfAsync(kind)).ConnectAsync();
        await using var store = new RedisLimitStore(redis, s_patient);
        await using var limiter = new RedisGcraRateLimiter(store, new RedisLimitOptions { Name = SharedRedis.NewTag() },
            new RedisGcraOptions { Limits = { new RateLimitRule { Permits = 1, Period = TimeSpan.FromHours(1), Burst = 1000 } } });
        // 990 go to the first, which is under way while the others gather; the rest gets what a call each would have got.
        int[] costs = [990, 4, 4, 4, 2, 1];

        var leases = await Task.WhenAll(costs.Select(cost => limiter.TryAcquireAsync(cost, TestStop).AsTask()));

        Assert.Equal([true, true, true, false, true, false], leases.Select(lease => lease.IsAcquired));
        Assert.Equal(2, RetryAfter(leases[3]).TotalHours, 0.1); // 2 were left of the 4
        Assert.Equal(1, RetryAfter(leases[5]).TotalHours, 0.1);

        static TimeSpan RetryAfter(RateLimitLease lease) => lease.TryGetMetadata(MetadataName.RetryAfter, out var wait) ? wait : TimeSpan.Zero;
    }

    [Fact(Timeout = 60_000)]
    public async Task Gcra_SeveralLimits_AreTakenAllOrNone()
    {
        await using var redis = await (await shared.OfAsync(kind)).ConnectAsync();
        await using var store = new RedisLimitStore(redis, s_patient);
        var name = SharedRedis.NewTag();
        await using var limiter = new RedisGcraRateLimiter(store, new RedisLimitOptions { Name = name }, new RedisGcraOptions
        {
            Limits =
            {
                new RateLimitRule { Permits = 1, Period = TimeSpan.FromHours(1), Burst = 10 },
                new RateLimitRule { Permits = 1, Period = TimeSpan.FromHours(2), Burst = 3 },
            },
        });
        Assert.True((await limiter.TryAcquireAsync(3, TestStop)).IsAcquired);
        Assert.Equal(3, limiter.Burst);

        for (var i = 0; i < 20; i++)
        {
            var retry = (await limiter.TryAcquireAsync(2, TestStop)).GetRetryAfter()!.Value;
            Assert.InRange(retry, TimeSpan.FromHours(3.9), TimeSpan.FromHours(4));
        }

        // The first limit's debt is still that of the one that was admitted: three hours.
        var stored = ((string)(await redis.GetDatabase().StringGetAsync($"{{{name}}}:gcra:0"))!).Split(' ');
        Assert.Equal(3L * 3_600_000_000, long.Parse(stored[0], System.Globalization.CultureInfo.InvariantCulture));
    }

    [Fact(Timeout = 60_000)]
    public async Task Gcra_BorrowedPermits_AreGivenSynchronouslyAndUnusedOnesReturned()
    {
        await using var redis = await (await shared.OfAsync(kind)).ConnectAsync();
        await using var store = new RedisLimitStore(redis, s_patient);
        var where = new RedisLimitOptions { Name = SharedRedis.NewTag() };
        var rule = new RateLimitRule { Permits = 1, Period = TimeSpan.FromHours(1), Burst = 10 };
        var limiter = new RedisGcraRateLimiter(store, where, new RedisGcraOptions { Limits = { rule }, Borrow = 6 });
        await using var other = new RedisGcraRateLimiter(store, where, new RedisGcraOptions { Limits = { rule } });

        Assert.Equal(DenialReason.AsyncOnly, limiter.AttemptAcquire().GetDenialReason());
        Assert.True((await limiter.AcquireAsync(1, TestStop)).IsAcquired);
        Assert.Equal(5, limiter.Borrowed);
        Assert.True(limiter.AttemptAcquire(2).IsAcquired);
        Assert.False((await other.TryAcquireAsync(5, TestStop)).IsAcquired); // 4 are left there

        await limiter.DisposeAsync(); // gives 3 back

        Assert.True((await other.TryAcquireAsync(7, TestStop)).IsAcquired);
        Assert.False((await other.TryAcquireAsync(1, TestStop)).IsAcquired);
        Assert.Equal(2, limiter.GetLedger().Admitted); // what could not be answered was not counted
    }

    [Fact(Timeout = 60_000)]
    public async Task Gcra_LostReply_CostsAPermitAndNeverAdmitsMore()
    {
        await using var redis = await (await shared.OfAsync(kind)).ConnectAsync();
        await using var store = new RedisLimitStore(redis, s_patient);
        var name = SharedRedis.NewTag();
        await using var limiter = new RedisGcraRateLimiter(store, new RedisLimitOptions { Name = name },
            new RedisGcraOptions { Limits = { new RateLimitRule { Permits = 1, Period = TimeSpan.FromHours(1), Burst = 4 } } });
        // A request whose answer nobody hears.
        await RedisScript.Load("RateLimiting/gcra.lua").EvaluateAsync(redis.GetDatabase(), [$"{{{name}}}:gcra:0"], "take", 0, 1, 3_600_000_000, 4, 1);

        Assert.True((await limiter.TryAcquireAsync(3, TestStop)).IsAcquired);
        Assert.False((await limiter.TryAcquireAsync(1, TestStop)).IsAcquired);
    }

    [Fact(Timeout = 60_000)]
    public async Task WindowLog_TheSameRequestTwice_IsAdmittedOnce()
    {
        await using var redis = await (await shared.OfAsync(kind)).ConnectAsync();
        var script = RedisScript.Load("RateLimiting/window_log.lua");
        RedisKey[] keys = [$"{{{SharedRedis.NewTag()}}}:log"];

        for (var i = 0; i < 3; i++) Assert.Equal(1, (long)((RedisResult[])(await script.EvaluateAsync(redis.GetDatabase(), keys, 4, 600_000, 2, "same"))!)[0]);

        Assert.Equal(2, await redis.GetDatabase().SortedSetLengthAsync(keys[0]));
    }

    [Fact(Timeout = 60_000)]
    public async Task Concurrency_ScriptRepeatedOrWithAnOldToken_ChangesNothing()
    {
        await using var redis = await (await shared.OfAsync(kind)).ConnectAsync();
        var script = RedisScript.Load("RateLimiting/concurrency.lua");
        var tag = SharedRedis.NewTag();
        RedisKey[] keys = [.. s_concurrencyKeys.Select(part => (RedisKey)$"{{{tag}}}:{part}")];
        async Task<RedisResult[]> Do(params RedisValue[] arguments) => (RedisResult[])(await script.EvaluateAsync(redis.GetDatabase(), keys, arguments))!;

        var granted = await Do("try", "a", 3, 60_000, 3_000, 2);
        var repeated = await Do("try", "a", 3, 60_000, 3_000, 2);
        Assert.Equal(((string)granted[1]!, 2), ((string)repeated[1]!, (long)(await Do("stats", ""))[0]));

        Assert.Equal(0, (long)(await Do("extend", "a", 60_000, "1"))[0]);
        Assert.Equal(0, (long)(await Do("release", "a", "1"))[0]);
        Assert.Equal(1, (long)(await Do("extend", "a", 60_000, (string)granted[1]!))[0]);
        Assert.Equal(1, (long)(await Do("release", "a", (string)granted[1]!))[0]);
        Assert.Equal(0, (long)(await Do("release", "a", (string)granted[1]!))[0]);
        Assert.Equal(0, (long)(await Do("stats", ""))[0]);

        // A grant whose answer was lost is given back by cancel.
        await Do("acquire", "b", 3, 60_000, 3_000, 3);
        Assert.Equal(1, (long)(await Do("cancel", "b"))[0]);
        Assert.Equal(0, (long)(await Do("stats", ""))[0]);
    }

    [Fact(Timeout = 60_000)]
    public async Task Concurrency_ProcessDies_ItsPermitsComeBackAfterTheLease()
    {
        var server = await shared.OfAsync(kind);
        var name = SharedRedis.NewTag();
        var options = new RedisConcurrencyOptions { Permits = 1, QueueLimit = 10, Lease = TimeSpan.FromSeconds(15) };
        await using var redis = await server.ConnectAsync();
        await using var store = new RedisLimitStore(redis, s_patient);
        await using var limiter = new RedisConcurrencyRateLimiter(store, new RedisLimitOptions { Name = name }, options);
        var dying = await server.ConnectAsync();
        var dyingStore = new RedisLimitStore(dying, s_patient);
        var dead = new RedisConcurrencyRateLimiter(dyingStore, new RedisLimitOptions { Name = name }, options);
        var held = await dead.TryAcquireAsync(1, TestStop);
        Assert.True(held.IsAcquired);
        dead.Dispose(); // stops renewing, releases nothing: as a killed process
        await dying.DisposeAsync();

        Assert.False((await limiter.TryAcquireAsync(1, TestStop)).IsAcquired);
        using var lease = await limiter.AcquireAsync(1, TestStop);

        Assert.True(lease.IsAcquired);
        await dyingStore.DisposeAsync();
    }

    [Fact(Timeout = 60_000)]
    public async Task Concurrency_WaitersOfTwoInstances_AreServedInOrderOfArrival()
    {
        var server = await shared.OfAsync(kind);
        var name = SharedRedis.NewTag();
        await using var redis = await server.ConnectAsync();
        await using var store = new RedisLimitStore(redis, s_patient);
        // A waiter that a busy machine keeps from asking in time is not taken for a dead one here.
        RedisConcurrencyRateLimiter Instance() => new(store, new RedisLimitOptions { Name = name }, new RedisConcurrencyOptions { Permits = 1, QueueLimit = 10 }) { WaitTtlMs = 60_000 };
        await using var here = Instance();
        await using var there = Instance();
        var held = await here.TryAcquireAsync(1, TestStop);
        var first = there.AcquireAsync(1, TestStop).AsTask();
        await RegisteredAsync(1);
        var second = here.AcquireAsync(1, TestStop).AsTask();
        await RegisteredAsync(2);

        held.Dispose();
        using (await first) Assert.False(second.IsCompleted);
        using var last = await second;
        Assert.True(last.IsAcquired);

        Task RegisteredAsync(int waiters) => Eventually.TrueAsync(
            async () => await redis.GetDatabase().SortedSetLengthAsync($"{{{name}}}:waiters") == waiters, TimeSpan.FromSeconds(20), () => "not in line");
    }

    [Fact(Timeout = 60_000)]
    public async Task AllKinds_AtRest_LeaveNoKeys()
    {
        await using var redis = await (await shared.OfAsync(kind)).ConnectAsync();
        await using var store = new RedisLimitStore(redis, s_patient);
        var name = SharedRedis.NewTag();
        var where = new RedisLimitOptions { Name = name };
        var window = new WindowOptions { Permits = 5, Window = TimeSpan.FromMilliseconds(300) };
        MeteredRateLimiter[] limiters =
        [
            new RedisGcraRateLimiter(store, where, new RedisGcraOptions { Limits = { new RateLimitRule { Permits = 50, Burst = 5 } } }),
            new RedisWindowCounterRateLimiter(store, where, window),
            new RedisWindowLogRateLimiter(store, where, window),
            new RedisConcurrencyRateLimiter(store, where, new RedisConcurrencyOptions { Lease = TimeSpan.FromMilliseconds(300) }),
        ];
        foreach (var limiter in limiters)
        {
            (await limiter.TryAcquireAsync(5, TestStop)).Dispose();
            await limiter.DisposeAsync();
        }

        string[] parts = ["gcra:0", "counter", "log", .. s_concurrencyKeys];
        await Eventually.TrueAsync(
            async () => await redis.GetDatabase().KeyExistsAsync([.. parts.Select(part => (RedisKey)$"{{{name}}}:{part}")]) == 0,
            TimeSpan.FromSeconds(30), () => "keys are left");
    }

    /// <summary>The system's clock, off by hours: what a badly set machine shows.</summary>
    private sealed class SkewedTime(TimeSpan by) : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => System.GetUtcNow() + by;

        public override long GetTimestamp() => System.GetTimestamp() + (long)(by.TotalSeconds * TimestampFrequency);
    }
}

public sealed class RedisRateLimiterSharedOnGarnetTests(SharedRedis shared) : RedisRateLimiterSharedTests(shared, RedisKind.Garnet);

public sealed class RedisRateLimiterSharedOnRedisTests(SharedRedis shared) : RedisRateLimiterSharedTests(shared, RedisKind.Redis);
