using DistributedPatterns.RateLimiting;
using DistributedPatterns.Tests.Support;
using StackExchange.Redis;

namespace DistributedPatterns.Tests.Cluster;

/// <summary>All limiters go on after a failover, degraded meanwhile, and keep their limits but for the writes that were lost with the master.</summary>
internal sealed class LimitersUser : ScriptUser
{
    private const int Permits = 20;
    private const int Before = 5;

    public override IReadOnlyList<string> Scripts =>
        ["RateLimiting/concurrency.lua", "RateLimiting/gcra.lua", "RateLimiting/window_counter.lua", "RateLimiting/window_log.lua"];

    public override async Task RunAsync(RedisCluster cluster, IConnectionMultiplexer redis, string tag, Func<Task> failOver)
    {
        var stop = TestContext.Current.CancellationToken;
        await using var store = new RedisLimitStore(redis, new RedisLimitStoreOptions { AnswerLimit = TimeSpan.FromSeconds(2), ProbeEvery = TimeSpan.FromMilliseconds(200) });
        var where = new RedisLimitOptions { Name = tag, WhenDown = OutagePolicy.Closed };
        var window = new WindowOptions { Permits = Permits, Window = TimeSpan.FromHours(1) };
        MeteredRateLimiter[] limiters =
        [
            new RedisGcraRateLimiter(store, where, new RedisGcraOptions { Limits = { new RateLimitRule { Permits = 1, Period = TimeSpan.FromHours(1), Burst = Permits } } }),
            new RedisWindowCounterRateLimiter(store, where, window),
            new RedisWindowLogRateLimiter(store, where, window),
            new RedisConcurrencyRateLimiter(store, where, new RedisConcurrencyOptions { Permits = Permits, Lease = TimeSpan.FromMinutes(10) }),
        ];
        foreach (var limiter in limiters)
        {
            for (var i = 0; i < Before; i++)
                await Eventually.TrueAsync(async () => (await limiter.TryAcquireAsync(1, stop)).IsAcquired, Limit, () => $"{limiter} denies at first");
        }

        await failOver();

        foreach (var limiter in limiters)
        {
            var after = 0;
            await Eventually.TrueAsync(
                async () =>
                {
                    var lease = await limiter.TryAcquireAsync(1, stop);
                    if (lease.IsAcquired) after++;
                    return lease.GetDenialReason() == DenialReason.LimitReached;
                }, Limit, () => $"{limiter} never denies: {after} after the failover");
            Assert.InRange(after, 1, Permits);
        }
        foreach (var limiter in limiters) await limiter.DisposeAsync();
    }
}
