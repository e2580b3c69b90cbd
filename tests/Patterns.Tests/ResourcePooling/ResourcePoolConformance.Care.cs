using DistributedPatterns.ResourcePooling;

namespace DistributedPatterns.Tests.ResourcePooling;

/// <content>What is closed, when, and why; and the end.</content>
public abstract partial class ResourcePoolConformance
{
    private static readonly TimeSpan s_step = TimeSpan.FromMilliseconds(20);

    [Fact(Timeout = HangLimit)]
    public async Task Return_OfWhatCannotBeReset_ClosesIt()
    {
        await using var host = await CreateAsync(1);
        Resources.WhenReset = resource => throw new InvalidOperationException($"{resource.Id} is in the middle of something");

        await (await host.AcquireAsync()).DisposeAsync();

        Resources.WhenReset = _ => { };
        await using var loan = await host.AcquireAsync();
        Assert.Equal(2, loan.Resource.Id);
        Assert.Equal(1, (await host.AssertAddsUpAsync(Resources)).Counters.ClosedBecause[CloseReason.Broken]);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Acquire_OfWhatLayIdle_ChecksItFirst()
    {
        await using var host = await CreateAsync(1, options => options.CheckAfter = TimeSpan.FromMilliseconds(100));
        await (await host.AcquireAsync()).DisposeAsync();
        Resources.IsUsable = resource => resource.Id != 1;

        var lent = 1;
        await Support.Eventually.TrueAsync(async () =>
        {
            // Its rounds may be late on a busy machine; each loan begins the idle time anew.
            for (var i = 0; i < 15; i++) await host.PassAsync(s_step);
            await using var loan = await host.AcquireAsync();
            return (lent = loan.Resource.Id) == 2;
        }, TimeSpan.FromSeconds(30), () => $"{lent} was lent unchecked");

        Assert.Equal(1, (await host.AssertAddsUpAsync(Resources)).Counters.ClosedBecause[CloseReason.Unusable]);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Idle_BeyondItsLimit_IsClosedButForTheFewThatStay()
    {
        await using var host = await CreateAsync(4, options => (options.IdleLimit, options.MinIdle) = (TimeSpan.FromMilliseconds(100), 1));
        var loans = new[] { await host.AcquireAsync(), await host.AcquireAsync(), await host.AcquireAsync() };
        foreach (var loan in loans) await loan.DisposeAsync();

        await host.UntilAsync(stats => stats.Ledger.Open == 1, s_step);
        for (var i = 0; i < 20; i++) await host.PassAsync(s_step);

        var stats = await host.AssertAddsUpAsync(Resources);
        Assert.InRange(stats.Ledger.Opened, 3, 4); // one more when somebody looked for an idle one while three were lent
        Assert.Equal((1, stats.Ledger.Opened - 1), (stats.Ledger.Open, stats.Counters.ClosedBecause[CloseReason.Idle]));
    }

    [Fact(Timeout = HangLimit)]
    public async Task MinIdle_IsKeptOpenAheadOfThoseWhoCome()
    {
        await using var host = await CreateAsync(4, options => (options.IdleLimit, options.MinIdle) = (TimeSpan.FromMilliseconds(200), 2));

        await using var loan = await host.AcquireAsync();

        await host.UntilAsync(stats => stats.Counts is { Active: 1, Idle: 2 }, s_step);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Age_BeyondItsLimit_ClosesIdleOnesAtOnceAndLentOnesWhenTheyComeBack()
    {
        await using var host = await CreateAsync(2, options => options.MaxLifetime = TimeSpan.FromMilliseconds(200));
        var lent = await host.AcquireAsync();
        await (await host.AcquireAsync()).DisposeAsync();

        await host.UntilAsync(stats => stats.Counts.Idle == 0 && stats.Ledger.Closed == 1, s_step);
        for (var i = 0; i < 20; i++) await host.PassAsync(s_step);
        Assert.True(lent.Resource.IsOpen);
        await lent.DisposeAsync();

        await host.UntilAsync(stats => stats.Ledger.Open == 0, s_step);
        Assert.Equal(2, (await host.AssertAddsUpAsync(Resources)).Counters.ClosedBecause[CloseReason.Expired]);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Clear_ReplacesAllResourcesWithoutStopping()
    {
        await using var host = await CreateAsync(2);
        var lent = await host.AcquireAsync();
        await (await host.AcquireAsync()).DisposeAsync();

        await host.Pool.ClearAsync(TestStop);

        await host.UntilAsync(stats => stats.Counts.Idle == 0 && stats.Ledger.Closed == 1);
        Assert.True(lent.Resource.IsOpen);
        await lent.DisposeAsync();
        await using var next = await host.AcquireAsync();
        Assert.Equal(3, next.Resource.Id);
        Assert.Equal(2, (await host.AssertAddsUpAsync(Resources)).Counters.ClosedBecause[CloseReason.Cleared]);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Leak_IsReportedWithTheStackOfWhoeverTookIt()
    {
        await using var host = await CreateAsync(2, options => options.LeakLimit = TimeSpan.FromMilliseconds(200));
        var forgotten = await ForgetToGiveBackAsync(host);
        await (await host.AcquireAsync()).DisposeAsync();

        var stats = await host.UntilAsync(stats => stats.Leaks.Count == 1, s_step);

        Assert.Contains(nameof(ForgetToGiveBackAsync), stats.Leaks[0].Stack, StringComparison.Ordinal);
        Assert.True(stats.Leaks[0].HeldFor >= TimeSpan.FromMilliseconds(200));
        await forgotten.DisposeAsync();
        stats = await host.StatsAsync();
        Assert.Empty(stats.Leaks);
        Assert.InRange(stats.Counters.LeaksReported, 1, 2); // the other one may have been out for as long on a busy machine
    }

    [Fact(Timeout = HangLimit)]
    public async Task Dispose_WaitsForLoansAndTurnsTheOthersAway()
    {
        var host = await CreateAsync(1, options => (options.Capacity, options.DrainLimit) = (1, TimeSpan.FromMinutes(1)));
        var loan = await host.AcquireAsync();
        var waiter = host.AcquireAsync().AsTask();
        await host.UntilAsync(stats => stats.Counts.Waiting == 1);

        var closing = host.Pool.DisposeAsync().AsTask();
        await Assert.ThrowsAsync<ObjectDisposedException>(() => waiter);
        await Assert.ThrowsAsync<ObjectDisposedException>(async () => await host.AcquireAsync());
        Assert.False(closing.IsCompleted);
        Assert.True(loan.Resource.IsOpen);
        await loan.DisposeAsync();

        await closing;
        Assert.Equal(0, Resources.Open);
        await host.DisposeAsync();
    }

    [Fact(Timeout = HangLimit)]
    public async Task Dispose_WithALoanThatDoesNotComeBack_EndsAtItsLimitAndClosesItLater()
    {
        var host = await CreateAsync(1, options => options.DrainLimit = TimeSpan.FromMilliseconds(200));
        var loan = await host.AcquireAsync();

        var closing = host.Pool.DisposeAsync().AsTask();
        while (!closing.IsCompleted)
        {
            await host.PassAsync(s_step);
            await Task.Yield();
        }
        await closing;

        Assert.Equal(1, Resources.Open);
        await loan.DisposeAsync();
        Assert.Equal(0, Resources.Open);
        await host.DisposeAsync();
    }

    // Named in the report.
    [System.Runtime.CompilerServices.MethodImpl(System.Runtime.CompilerServices.MethodImplOptions.NoInlining)]
    private static async Task<PooledResource<TestResource>> ForgetToGiveBackAsync(PoolHost host) => await host.Pool.AcquireAsync(null, TestStop);
}
