using System.Threading.RateLimiting;
using DistributedPatterns.RateLimiting;
using DistributedPatterns.Tests.Support;

namespace DistributedPatterns.Tests.RateLimiting;

/// <summary>What both concurrency limiters keep.</summary>
public abstract class ConcurrencyConformance
{
    protected const int HangLimit = 60_000;

    protected static CancellationToken TestStop => TestContext.Current.CancellationToken;

    private protected abstract ValueTask<LimiterHost> CreateAsync(int permits, int queueLimit);

    [Fact(Timeout = HangLimit)]
    public async Task TryAcquire_UpToTheLimit_IsAdmittedUntilSomeoneLeaves()
    {
        await using var host = await CreateAsync(3, 0);
        var two = await host.Limiter.TryAcquireAsync(2, TestStop);
        using var one = await host.Limiter.TryAcquireAsync(1, TestStop);

        using var denied = await host.Limiter.TryAcquireAsync(1, TestStop);
        Assert.True(two.IsAcquired && one.IsAcquired);
        Assert.Equal(DenialReason.LimitReached, denied.GetDenialReason());
        Assert.Null(denied.GetRetryAfter()); // nobody knows when a holder is done
        Assert.Null(host.Limiter.IdleDuration);

        two.Dispose();
        two.Dispose(); // twice is once

        using var again = await AcquiredAsync(host, 2);
        Assert.False((await host.Limiter.TryAcquireAsync(1, TestStop)).IsAcquired);
        Assert.Equal(DenialReason.NeverPossible, (await host.Limiter.AcquireAsync(4, TestStop)).GetDenialReason());
    }

    [Fact(Timeout = HangLimit)]
    public async Task Acquire_ByManyWhoWait_ServesThemInOrderAndLetsNobodyOvertake()
    {
        await using var host = await CreateAsync(2, 100);
        var first = await host.Limiter.AcquireAsync(2, TestStop);
        var waiting = new List<Task<RateLimitLease>>();
        for (var i = 0; i < 5; i++)
        {
            waiting.Add(host.Limiter.AcquireAsync(2, TestStop).AsTask());
            await WaitingAsync(host, 2 * (i + 1));
        }
        Assert.False((await host.Limiter.TryAcquireAsync(1, TestStop)).IsAcquired);

        first.Dispose();
        for (var i = 0; i < 5; i++)
        {
            using var served = await waiting[i];
            Assert.True(served.IsAcquired);
            Assert.Equal(i + 1, waiting.Count(task => task.IsCompleted)); // all permits are this one's
        }
    }

    [Fact(Timeout = HangLimit)]
    public async Task Acquire_HeadCancelled_LetsTheNextGoAndLosesNoPermit()
    {
        await using var host = await CreateAsync(3, 100);
        using var held = await host.Limiter.AcquireAsync(1, TestStop);
        using var leave = new CancellationTokenSource();
        var big = host.Limiter.AcquireAsync(3, leave.Token).AsTask();
        await WaitingAsync(host, 3);
        var small = host.Limiter.AcquireAsync(2, TestStop).AsTask();
        await WaitingAsync(host, 5);

        await leave.CancelAsync();

        Assert.Equal(leave.Token, (await Assert.ThrowsAnyAsync<OperationCanceledException>(() => big)).CancellationToken);
        using var lease = await small;
        Assert.True(lease.IsAcquired);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Acquire_ByManyAtOnce_NeverHoldsMoreThanTheLimit()
    {
        await using var host = await CreateAsync(3, 10_000);
        var (held, most) = (0, 0);
        await Parallel.ForAsync(0, 60, new ParallelOptions { MaxDegreeOfParallelism = 12, CancellationToken = TestStop }, async (i, token) =>
        {
            var cost = 1 + (i % 3);
            using var lease = await host.Limiter.AcquireAsync(cost, token);
            Assert.True(lease.IsAcquired);
            var now = Interlocked.Add(ref held, cost);
            for (var seen = most; now > seen && Interlocked.CompareExchange(ref most, now, seen) != seen; seen = most) { }
            await Task.Yield();
            Interlocked.Add(ref held, -cost);
        });

        Assert.InRange(most, 1, 3);
        using var all = await AcquiredAsync(host, 3); // nothing was lost
        Assert.Equal(0, host.Limiter.GetStatistics()!.CurrentQueuedCount);
    }

    // A release across processes is under way when Dispose returns.
    private static async Task<RateLimitLease> AcquiredAsync(LimiterHost host, int permits)
    {
        RateLimitLease? lease = null;
        await Eventually.TrueAsync(async () => (lease = await host.Limiter.TryAcquireAsync(permits, TestStop)).IsAcquired,
            TimeSpan.FromSeconds(20), () => $"no {permits} permits: {lease?.GetDenialReason()}");
        return lease!;
    }

    private static Task WaitingAsync(LimiterHost host, int permits) => Eventually.TrueAsync(
        () => host.Limiter.GetStatistics()!.CurrentQueuedCount == permits, TimeSpan.FromSeconds(20), () => $"{host.Limiter.GetStatistics()!.CurrentQueuedCount} wait");
}

public sealed class LocalConcurrencyRateLimiterTests : ConcurrencyConformance
{
    private protected override ValueTask<LimiterHost> CreateAsync(int permits, int queueLimit) => new(new LimiterHost(
        new LocalConcurrencyRateLimiter(new ConcurrencyOptions { Permits = permits, QueueLimit = queueLimit }), _ => Task.CompletedTask, () => default, _ => permits));
}

public abstract class RedisConcurrencyRateLimiterTests(SharedRedis shared, RedisKind kind) : ConcurrencyConformance
{
    private protected override async ValueTask<LimiterHost> CreateAsync(int permits, int queueLimit)
    {
        var redis = await (await shared.OfAsync(kind)).ConnectAsync();
        var store = new RedisLimitStore(redis, new RedisLimitStoreOptions { AnswerLimit = TimeSpan.FromSeconds(10) });
        return new LimiterHost(
            new RedisConcurrencyRateLimiter(store, new RedisLimitOptions { Name = SharedRedis.NewTag(), WhenDown = OutagePolicy.Closed },
                new RedisConcurrencyOptions { Permits = permits, QueueLimit = queueLimit }),
            RedisRateLimiterTests.PassAsync, () => RedisRateLimiterTests.ServerTimeAsync(redis), _ => permits,
            async () =>
            {
                await store.DisposeAsync();
                await redis.DisposeAsync();
            });
    }
}

public sealed class RedisConcurrencyOnGarnetTests(SharedRedis shared) : RedisConcurrencyRateLimiterTests(shared, RedisKind.Garnet);

public sealed class RedisConcurrencyOnRedisTests(SharedRedis shared) : RedisConcurrencyRateLimiterTests(shared, RedisKind.Redis);
