using System.Diagnostics;
using DistributedPatterns.RateLimiting;
using DistributedPatterns.Tests.Support;

namespace DistributedPatterns.Tests.RateLimiting;

/// <summary>Redis freezes, comes back, dies: the policy holds within its limit, is shown and counted, and ends by itself.</summary>
public sealed class RedisOutageTests
{
    private static readonly RedisLimitStoreOptions s_quick = new() { AnswerLimit = TimeSpan.FromSeconds(5), ProbeEvery = TimeSpan.FromMilliseconds(200) };

    private static CancellationToken TestStop => TestContext.Current.CancellationToken;

    [Theory(Timeout = 120_000)]
    [InlineData(OutagePolicy.Open)]
    [InlineData(OutagePolicy.Closed)]
    [InlineData(OutagePolicy.LocalShare)]
    public async Task Acquire_RedisFrozen_FollowsThePolicyAndRecovers(OutagePolicy policy)
    {
        await using var server = await StartWarmAsync();
        await using var redis = await server.ConnectAsync();
        await using var store = new RedisLimitStore(redis, s_quick);
        await using var limiter = new RedisGcraRateLimiter(store, new RedisLimitOptions { Name = SharedRedis.NewTag(), WhenDown = policy, Instances = 2 },
            new RedisGcraOptions { Limits = { new RateLimitRule { Permits = 1, Period = TimeSpan.FromMinutes(10), Burst = 8 } }, QueueLimit = 10 });
        Assert.True((await limiter.TryAcquireAsync(1, TestStop)).IsAcquired);
        Assert.Equal(LimiterState.Exact, limiter.State);

        await server.PauseAsync();
        var since = Stopwatch.GetTimestamp();
        var admitted = 0;
        for (var i = 0; i < 100; i++)
        {
            using var lease = await limiter.TryAcquireAsync(1, TestStop);
            if (lease.IsAcquired) admitted++;
            else Assert.Equal(policy == OutagePolicy.Closed ? DenialReason.Unavailable : DenialReason.LimitReached, lease.GetDenialReason());
            Assert.True(lease.TryGetMetadata(RateLimitMetadata.DecidedBy, out var by) && by == LimiterState.Degraded);
        }
        var elapsed = Stopwatch.GetElapsedTime(since);

        Assert.Equal(policy switch { OutagePolicy.Open => 100, OutagePolicy.Closed => 0, _ => 4 }, admitted); // 4: half of the burst of 8
        Assert.True(elapsed < TimeSpan.FromSeconds(20), $"100 requests took {elapsed}: each waited for Redis");
        Assert.Equal((LimiterState.Degraded, 1, 100), (limiter.State, store.Outages, limiter.GetLedger().Degraded));

        await server.ResumeAsync();
        await Eventually.TrueAsync(() => limiter.State == LimiterState.Exact, TimeSpan.FromSeconds(30), () => "still degraded");
        using var after = await limiter.TryAcquireAsync(1, TestStop);
        Assert.True(after.TryGetMetadata(RateLimitMetadata.DecidedBy, out var exact) && exact == LimiterState.Exact);
        Assert.Equal(101, limiter.GetLedger().Requests - 1);
    }

    [Fact(Timeout = 120_000)]
    public async Task Acquire_RedisFrozenWhileWaiting_EndsByThePolicy()
    {
        await using var server = await StartWarmAsync();
        await using var redis = await server.ConnectAsync();
        await using var store = new RedisLimitStore(redis, s_quick);
        await using var limiter = new RedisWindowLogRateLimiter(store, new RedisLimitOptions { Name = SharedRedis.NewTag(), WhenDown = OutagePolicy.Closed },
            new WindowOptions { Permits = 1, Window = TimeSpan.FromSeconds(10), QueueLimit = 10 });
        Assert.True((await limiter.AcquireAsync(1, TestStop)).IsAcquired);
        var waiting = Enumerable.Range(0, 3).Select(_ => limiter.AcquireAsync(1, TestStop).AsTask()).ToArray();

        await server.PauseAsync();
        foreach (var task in waiting) Assert.Equal(DenialReason.Unavailable, (await task).GetDenialReason());

        await server.ResumeAsync();
        await Eventually.TrueAsync(async () => (await limiter.TryAcquireAsync(1, TestStop)).IsAcquired, TimeSpan.FromSeconds(30), () => "never again");
    }

    [Fact(Timeout = 120_000)]
    public async Task Acquire_RedisKilledAndStartedAgain_IsExactAgain()
    {
        await using var server = await StartWarmAsync();
        await using var redis = await server.ConnectAsync();
        await using var store = new RedisLimitStore(redis, s_quick);
        await using var limiter = new RedisWindowCounterRateLimiter(store, new RedisLimitOptions { Name = SharedRedis.NewTag(), WhenDown = OutagePolicy.Open },
            new WindowOptions { Permits = 5, Window = TimeSpan.FromMinutes(10) });
        Assert.True((await limiter.TryAcquireAsync(1, TestStop)).IsAcquired);

        await server.KillAsync();
        Assert.True((await limiter.TryAcquireAsync(1, TestStop)).IsAcquired);
        Assert.Equal(LimiterState.Degraded, limiter.State);

        await server.RestartAsync();
        await Eventually.TrueAsync(() => limiter.State == LimiterState.Exact, TimeSpan.FromSeconds(60), () => "still degraded");
        // A degraded one would admit for ever. Not after five for sure: a call that the machine holds up is answered by the policy.
        await Eventually.TrueAsync(async () => !(await limiter.TryAcquireAsync(1, TestStop)).IsAcquired, TimeSpan.FromSeconds(30), () => "admits all");
    }

    [Fact(Timeout = 120_000)]
    public async Task Lease_RedisFrozenLongerThanIt_TellsItsHolder()
    {
        await using var server = await StartWarmAsync();
        await using var redis = await server.ConnectAsync();
        await using var store = new RedisLimitStore(redis, s_quick);
        await using var limiter = new RedisConcurrencyRateLimiter(store, new RedisLimitOptions { Name = SharedRedis.NewTag(), WhenDown = OutagePolicy.Closed },
            new RedisConcurrencyOptions { Permits = 1, Lease = TimeSpan.FromSeconds(12) });
        using var lease = await limiter.TryAcquireAsync(1, TestStop);
        Assert.True(lease.TryGetMetadata(RateLimitMetadata.LeaseLost, out var lost));

        // Renewed for longer than it is,
        await Eventually.StaysTrueAsync(() => !lost.IsCancellationRequested, TimeSpan.FromSeconds(15), () => "the lease was lost");
        Assert.False((await limiter.TryAcquireAsync(1, TestStop)).IsAcquired);

        // and lost when renewal is not possible.
        await server.PauseAsync();
        await Eventually.TrueAsync(() => lost.IsCancellationRequested, TimeSpan.FromSeconds(30), () => "the holder does not know");
        await server.ResumeAsync();
        await Eventually.TrueAsync(async () => (await limiter.TryAcquireAsync(1, TestStop)).IsAcquired, TimeSpan.FromSeconds(30), () => "the permit did not come back");
    }

    /// <summary>Starts a server and lets it run its first scripts: those take a cold one longer than the answer limit of these tests.</summary>
    internal static async Task<RedisBackend> StartWarmAsync()
    {
        var server = await RedisBackend.StartAsync(RedisKind.Garnet);
        await using var redis = await server.ConnectAsync();
        await using var store = new RedisLimitStore(redis, new RedisLimitStoreOptions { AnswerLimit = TimeSpan.FromSeconds(30) });
        var where = new RedisLimitOptions { Name = SharedRedis.NewTag(), WhenDown = OutagePolicy.Closed };
        await using var gcra = new RedisGcraRateLimiter(store, where, new RedisGcraOptions { Limits = { new RateLimitRule() } });
        await using var counter = new RedisWindowCounterRateLimiter(store, where, new WindowOptions());
        await using var log = new RedisWindowLogRateLimiter(store, where, new WindowOptions());
        foreach (var limiter in (MeteredRateLimiter[])[gcra, counter, log]) Assert.True((await limiter.TryAcquireAsync(1, TestStop)).IsAcquired);
        return server;
    }
}
