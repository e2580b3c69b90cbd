using System.Diagnostics;
using System.Threading.RateLimiting;
using DistributedPatterns.RateLimiting;

namespace DistributedPatterns.Tests.RateLimiting;

/// <summary>Many threads on the system's clock: counted, not timed. Here the fast path without the exact clock is taken.</summary>
public sealed class LocalRateLimiterContentionTests
{
    private const int Threads = 4;

    public static TheoryData<string> Kinds => ["gcra", "token bucket", "window counter", "window log", "composite", "keyed"];

    [Theory]
    [MemberData(nameof(Kinds))]
    public void AttemptAcquire_ByManyThreads_AdmitsExactlyTheBurstWhileNothingIsEarned(string kind)
    {
        var rule = new BucketOptions { Permits = 1, Period = TimeSpan.FromHours(1), Burst = 1_000 };
        var window = new WindowOptions { Permits = 1_000, Window = TimeSpan.FromHours(1) };
        var acquire = Acquire(kind, rule, window);

        var admitted = InParallel(1_000, acquire);

        Assert.Equal(1_000, admitted);
    }

    [Theory]
    [InlineData("gcra")]
    [InlineData("keyed")]
    public void AttemptAcquire_ByManyThreadsForAWhile_StaysWithinTheBound(string kind)
    {
        var rule = new BucketOptions { Permits = 1_000_000, Period = TimeSpan.FromSeconds(1), Burst = 100_000 };
        var acquire = Acquire(kind, rule, new WindowOptions());

        var since = Stopwatch.GetTimestamp();
        var admitted = InParallel(2_000_000, acquire);
        var elapsed = Stopwatch.GetElapsedTime(since);

        Assert.InRange(admitted, 100_000, 100_000 + (elapsed.TotalSeconds * 1_000_000));
    }

    [Fact]
    public void Statistics_AfterManyThreads_CountEveryRequest()
    {
        using var limiter = new LocalGcraRateLimiter(new BucketOptions { Permits = 1, Period = TimeSpan.FromHours(1), Burst = 500 });

        var admitted = InParallel(100_000, () => limiter.AttemptAcquire());

        Assert.Equal(new RateLimitLedger(admitted, (Threads * 100_000) - admitted, 0, 0, 0), limiter.GetLedger());
    }

    [Fact]
    public void AttemptAcquire_AdmittedOrDenied_AllocatesNothing()
    {
        using var limiter = new LocalGcraRateLimiter(new BucketOptions { Permits = 1, Period = TimeSpan.FromHours(1), Burst = 5_000 });
        using var keyed = new LocalKeyedRateLimiter<string>(new BucketOptions { Permits = 1, Period = TimeSpan.FromHours(1), Burst = 5_000 });
        for (var i = 0; i < 20_000; i++) Both();

        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 20_000; i++) Both();
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);

        void Both()
        {
            limiter.AttemptAcquire().Dispose();
            keyed.AttemptAcquire("key").Dispose();
        }
    }

    [Fact]
    public async Task Concurrency_ByManyTasks_NeverHoldsMoreThanTheLimitAndLosesNoPermit()
    {
        await using var limiter = new LocalConcurrencyRateLimiter(new ConcurrencyOptions { Permits = 3, QueueLimit = 10_000 });
        var (held, most) = (0, 0);
        await Parallel.ForAsync(0, 2_000, TestContext.Current.CancellationToken, async (i, _) =>
        {
            using var leave = new CancellationTokenSource();
            var cost = 1 + (i % 3);
            var waiting = limiter.AcquireAsync(cost, leave.Token);
            if (i % 5 == 0) await leave.CancelAsync();
            try
            {
                using var lease = await waiting;
                Assert.True(lease.IsAcquired);
                var now = Interlocked.Add(ref held, cost);
                for (var seen = most; now > seen && Interlocked.CompareExchange(ref most, now, seen) != seen; seen = most) { }
                await Task.Yield();
                Interlocked.Add(ref held, -cost);
            }
            catch (OperationCanceledException) when (leave.IsCancellationRequested)
            {
                // Left on purpose.
            }
        });

        Assert.InRange(most, 1, 3);
        Assert.Equal((3, 0), (limiter.GetStatistics()!.CurrentAvailablePermits, limiter.GetStatistics()!.CurrentQueuedCount));
        Assert.Equal(2_000, limiter.GetLedger().Requests);
    }

    private static Func<RateLimitLease> Acquire(string kind, BucketOptions rule, WindowOptions window)
    {
        if (kind == "keyed")
        {
            var keyed = new LocalKeyedRateLimiter<string>(rule);
            return () => keyed.AttemptAcquire("one");
        }
        RateLimiter limiter = kind switch
        {
            "gcra" => new LocalGcraRateLimiter(rule),
            "token bucket" => new LocalTokenBucketRateLimiter(rule),
            "window counter" => new LocalWindowCounterRateLimiter(window),
            "window log" => new LocalWindowLogRateLimiter(window),
            _ => new LocalCompositeRateLimiter([new LocalGcraRateLimiter(rule), new LocalWindowLogRateLimiter(window)]),
        };
        return () => limiter.AttemptAcquire();
    }

    private static long InParallel(int each, Func<RateLimitLease> acquire)
    {
        var admitted = 0L;
        var threads = Enumerable.Range(0, Threads).Select(_ => new Thread(() =>
        {
            var mine = 0L;
            for (var i = 0; i < each; i++)
                if (acquire().IsAcquired) mine++;
            Interlocked.Add(ref admitted, mine);
        })).ToArray();
        foreach (var thread in threads) thread.Start();
        foreach (var thread in threads) thread.Join();
        return admitted;
    }
}
