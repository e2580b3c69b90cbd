using DistributedPatterns.RateLimiting;

namespace DistributedPatterns.Tests.RateLimiting;

/// <summary>What every limiter by time keeps, in both variants. A class says how to make one and by which clock it goes.</summary>
public abstract partial class RateLimiterConformance
{
    /// <summary>Far above what any test takes: a limit for hangs, in milliseconds.</summary>
    protected const int HangLimit = 60_000;

    /// <summary>Gets whether a moment before its retry-after a request is denied still. Needs a clock that stands still.</summary>
    protected virtual bool TellsRetryAfterExactly => true;

    protected static CancellationToken TestStop => TestContext.Current.CancellationToken;

    private protected abstract ValueTask<LimiterHost> CreateAsync(LimitSpec spec);

    [Fact(Timeout = HangLimit)]
    public async Task TryAcquire_UpToTheBurst_IsAdmittedAndThenDenied()
    {
        await using var host = await CreateAsync(LimitSpec.Slow);

        for (var i = 0; i < 4; i++) Assert.True((await host.Limiter.TryAcquireAsync(1, TestStop)).IsAcquired);
        using var denied = await host.Limiter.TryAcquireAsync(1, TestStop);

        Assert.False(denied.IsAcquired);
        Assert.Equal(DenialReason.LimitReached, denied.GetDenialReason());
        Assert.Equal(new RateLimitLedger(4, 1, 0, 0, 0), host.Limiter.GetLedger());
        var statistics = host.Limiter.GetStatistics()!;
        Assert.Equal((4, 1, 0, 0), (statistics.TotalSuccessfulLeases, statistics.TotalFailedLeases, statistics.CurrentAvailablePermits, statistics.CurrentQueuedCount));
    }

    [Fact(Timeout = HangLimit)]
    public async Task TryAcquire_OfSeveralPermits_TakesAllOfThemOrNone()
    {
        await using var host = await CreateAsync(LimitSpec.Slow);

        Assert.True((await host.Limiter.TryAcquireAsync(3, TestStop)).IsAcquired);
        Assert.False((await host.Limiter.TryAcquireAsync(2, TestStop)).IsAcquired);
        Assert.True((await host.Limiter.TryAcquireAsync(1, TestStop)).IsAcquired);
        Assert.False((await host.Limiter.TryAcquireAsync(1, TestStop)).IsAcquired);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Acquire_OfMoreThanTheBurst_IsNeverAdmittedNeverQueuedAndCostsNothing()
    {
        await using var host = await CreateAsync(LimitSpec.Slow);

        foreach (var never in new[] { await host.Limiter.TryAcquireAsync(5, TestStop), await host.Limiter.AcquireAsync(5, TestStop), host.Limiter.AttemptAcquire(5) })
        {
            Assert.False(never.IsAcquired);
            Assert.Equal(DenialReason.NeverPossible, never.GetDenialReason());
            Assert.Null(never.GetRetryAfter());
        }

        Assert.Equal(3, host.Limiter.GetLedger().Never);
        Assert.True((await host.Limiter.TryAcquireAsync(4, TestStop)).IsAcquired);
    }

    [Fact(Timeout = HangLimit)]
    public async Task TryAcquire_OfNone_TellsWhetherOneIsThereAndTakesNone()
    {
        await using var host = await CreateAsync(LimitSpec.Slow);

        for (var i = 0; i < 10; i++) Assert.True((await host.Limiter.TryAcquireAsync(0, TestStop)).IsAcquired);
        Assert.True((await host.Limiter.TryAcquireAsync(4, TestStop)).IsAcquired);
        Assert.False((await host.Limiter.TryAcquireAsync(0, TestStop)).IsAcquired);
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(async () => await host.Limiter.TryAcquireAsync(-1, TestStop));
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public async Task RetryAfter_Obeyed_IsAdmittedAndNotBefore(int cost)
    {
        await using var host = await CreateAsync(LimitSpec.Fast);
        for (var round = 0; round < 6; round++)
        {
            var wait = await UntilDeniedAsync(host, cost);
            if (TellsRetryAfterExactly)
            {
                await host.PassAsync(wait - TimeSpan.FromTicks(1));
                Assert.False((await host.Limiter.TryAcquireAsync(cost, TestStop)).IsAcquired);
                await host.PassAsync(TimeSpan.FromTicks(1));
            }
            else
            {
                await host.PassAsync(wait);
            }
            Assert.True((await host.Limiter.TryAcquireAsync(cost, TestStop)).IsAcquired, $"after {wait}, cost {cost}, round {round}");
        }
    }

    [Fact(Timeout = HangLimit)]
    public async Task TryAcquire_DeniedOften_CostsNothing()
    {
        await using var host = await CreateAsync(LimitSpec.Slow);
        Assert.True((await host.Limiter.TryAcquireAsync(4, TestStop)).IsAcquired);
        using var first = await host.Limiter.TryAcquireAsync(2, TestStop);
        var wait = first.GetRetryAfter();

        for (var i = 0; i < 50; i++) Assert.False((await host.Limiter.TryAcquireAsync(2, TestStop)).IsAcquired);

        using var last = await host.Limiter.TryAcquireAsync(2, TestStop);
        Assert.True(last.GetRetryAfter() <= wait, $"{wait} became {last.GetRetryAfter()}");
    }

    [Fact(Timeout = HangLimit)]
    public async Task TryAcquire_ByManyAtOnce_StaysWithinTheBoundByTheLimitersClock()
    {
        var spec = new LimitSpec(200, TimeSpan.FromSeconds(1), 10);
        await using var host = await CreateAsync(spec);
        var admitted = new List<(TimeSpan From, TimeSpan To, int Cost)>();
        await Parallel.ForAsync(0, 8, TestStop, async (worker, token) =>
        {
            var random = new Random(worker);
            for (var i = 0; i < 60; i++)
            {
                var cost = random.Next(1, 5);
                var from = await host.NowAsync();
                using var lease = await host.Limiter.TryAcquireAsync(cost, token);
                var to = await host.NowAsync();
                if (!lease.IsAcquired) await host.PassAsync(TimeSpan.FromMilliseconds(random.Next(1, 8)));
                else lock (admitted) admitted.Add((from, to, cost));
            }
        });

        AssertWithin(host, admitted);
        Assert.True(admitted.Sum(one => one.Cost) > spec.Burst, "nothing was earned: the test shows nothing");
        var ledger = host.Limiter.GetLedger();
        Assert.Equal((480, admitted.Count), (ledger.Requests, ledger.Admitted));
    }

    [Fact(Timeout = HangLimit)]
    public async Task IdleDuration_NullWhileInUse_ThenCounts()
    {
        await using var host = await CreateAsync(LimitSpec.Fast);
        Assert.NotNull(host.Limiter.IdleDuration);

        Assert.True((await host.Limiter.TryAcquireAsync(4, TestStop)).IsAcquired);
        await host.PassAsync(TimeSpan.FromSeconds(2));

        Assert.InRange(host.Limiter.IdleDuration!.Value, TimeSpan.FromMilliseconds(500), TimeSpan.FromMinutes(1));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Acquire_Disposed_ThrowsAndWaitersAreSentAway()
    {
        var host = await CreateAsync(LimitSpec.Slow);
        Assert.True((await host.Limiter.TryAcquireAsync(4, TestStop)).IsAcquired);
        var waiting = host.Limiter.AcquireAsync(1, TestStop).AsTask();
        var behind = host.Limiter.AcquireAsync(1, TestStop).AsTask();
        await WaitingAsync(host, 2);

        await host.DisposeAsync();

        Assert.Equal(DenialReason.Disposed, (await waiting).GetDenialReason());
        Assert.Equal(DenialReason.Disposed, (await behind).GetDenialReason());
        Assert.Throws<ObjectDisposedException>(() => host.Limiter.AttemptAcquire());
        await Assert.ThrowsAsync<ObjectDisposedException>(async () => await host.Limiter.TryAcquireAsync(1, TestStop));
        await Assert.ThrowsAsync<ObjectDisposedException>(async () => await host.Limiter.AcquireAsync(1, TestStop));
    }

    /// <summary>Checks every stretch between two admissions against the bound: each took place somewhere between asking and answer.</summary>
    private protected static void AssertWithin(LimiterHost host, List<(TimeSpan From, TimeSpan To, int Cost)> admitted)
    {
        foreach (var first in admitted)
        {
            foreach (var last in admitted.Where(one => one.To >= first.From))
            {
                var sum = admitted.Where(one => one.From >= first.From && one.To <= last.To).Sum(one => one.Cost);
                var most = host.MostIn(last.To - first.From);
                Assert.True(sum <= most + 1e-6, $"{sum} permits in {last.To - first.From}, at most {most} are right");
            }
        }
    }

    private static async Task<TimeSpan> UntilDeniedAsync(LimiterHost host, int cost)
    {
        while (true)
        {
            using var lease = await host.Limiter.TryAcquireAsync(cost, TestStop);
            if (lease.IsAcquired) continue;
            var wait = lease.GetRetryAfter();
            Assert.NotNull(wait);
            Assert.InRange(wait.Value, TimeSpan.FromTicks(1), TimeSpan.FromSeconds(1));
            return wait.Value;
        }
    }

    private static Task WaitingAsync(LimiterHost host, int permits) => Support.Eventually.TrueAsync(
        () => host.Limiter.GetStatistics()!.CurrentQueuedCount == permits, TimeSpan.FromSeconds(20), () => $"{host.Limiter.GetStatistics()!.CurrentQueuedCount} wait");
}
