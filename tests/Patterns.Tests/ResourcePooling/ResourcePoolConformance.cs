using DistributedPatterns.ResourcePooling;

namespace DistributedPatterns.Tests.ResourcePooling;

/// <summary>What <see cref="IResourcePool{T}"/> promises, for every variant.</summary>
public abstract partial class ResourcePoolConformance
{
    protected const int HangLimit = 90_000;

    private protected TestResources Resources { get; } = new();

    protected static CancellationToken TestStop => TestContext.Current.CancellationToken;

    /// <summary>Starts a pool in which so many resources may be open.</summary>
    private protected abstract ValueTask<PoolHost> CreateAsync(int open, Action<ResourcePoolOptions>? configure = null);

    [Fact(Timeout = HangLimit)]
    public async Task Acquire_OfAReturnedResource_LendsItAgain()
    {
        await using var host = await CreateAsync(4);

        var first = await host.AcquireAsync();
        var resource = first.Resource;
        await first.DisposeAsync();
        var second = await host.AcquireAsync();

        Assert.Same(resource, second.Resource);
        await second.DisposeAsync();
        var stats = await host.AssertAddsUpAsync(Resources);
        Assert.Equal((2, 2, 0, 1), (stats.Ledger.Acquired, stats.Ledger.Returned, stats.Ledger.Active, stats.Ledger.Opened));
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Acquire_ByManyCallers_NeverOpensMoreThanMayBeNorLendsOneTwice(bool resets)
    {
        const int Callers = 24;
        const int Rounds = 40;
        await using var host = await CreateAsync(3, options => options.ResetOnReturn = resets);

        await Task.WhenAll(Enumerable.Range(0, Callers).Select(caller => Task.Run(async () =>
        {
            for (var round = 0; round < Rounds; round++)
            {
                await using var loan = await host.AcquireAsync();
                using (loan.Resource.Begin()) await Task.Yield();
                if ((caller + round) % 17 == 0) loan.MarkBroken();
            }
        }, TestStop)));

        Assert.InRange(Resources.MostOpen, 1, 3);
        var stats = await host.AssertAddsUpAsync(Resources);
        Assert.Equal((Callers * Rounds, 0, 0), (stats.Ledger.Acquired, stats.Ledger.Active, stats.Counts.Waiting));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Acquire_ByThoseWhoWait_IsInTheOrderOfArrival()
    {
        await using var host = await CreateAsync(1);
        var held = await host.AcquireAsync();
        var served = new List<int>();
        var waiters = new List<Task>();
        for (var i = 0; i < 8; i++)
        {
            waiters.Add(WaitAsync(i));
            await host.WaitingAsync(i + 1);
        }

        await held.DisposeAsync();
        await Task.WhenAll(waiters);

        Assert.Equal(Enumerable.Range(0, 8), served);

        async Task WaitAsync(int number)
        {
            await using var loan = await host.AcquireAsync();
            lock (served) served.Add(number);
        }
    }

    [Fact(Timeout = HangLimit)]
    public async Task Acquire_WithNothingFreeInTime_SaysWhyAndLeavesNothingBehind()
    {
        await using var host = await CreateAsync(2);
        var held = new[] { await host.AcquireAsync(), await host.AcquireAsync() };

        var late = host.Pool.AcquireAsync(TimeSpan.FromMilliseconds(100), TestStop).AsTask();
        await host.UntilAsync(_ => late.IsCompleted, TimeSpan.FromMilliseconds(20));

        var error = await Assert.ThrowsAsync<PoolExhaustedException>(() => late);
        Assert.Equal(2, error.Counts.Active);
        Assert.Contains("active 2", error.Message, StringComparison.Ordinal);
        Assert.Contains(host.Pool.Name, error.Message, StringComparison.Ordinal);
        await host.WaitingAsync(0);
        foreach (var loan in held) await loan.DisposeAsync();
        held = [await host.AcquireAsync(), await host.AcquireAsync()];
        foreach (var loan in held) await loan.DisposeAsync();
        Assert.Equal(1, (await host.AssertAddsUpAsync(Resources)).Counters.Exhausted);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Acquire_CancelledOverAndOver_LeavesNothingBehind()
    {
        const int Waits = 200;
        await using var host = await CreateAsync(1);
        var held = await host.AcquireAsync();
        using var canceller = new CancellationTokenSource();

        var waits = Enumerable.Range(0, Waits).Select(_ => host.Pool.AcquireAsync(TimeSpan.FromMinutes(1), canceller.Token).AsTask()).ToList();
        await host.UntilAsync(stats => stats.Counts.Waiting + stats.Counts.Opening >= Waits);
        await canceller.CancelAsync();
        foreach (var wait in waits) Assert.Equal(canceller.Token, (await Assert.ThrowsAnyAsync<OperationCanceledException>(() => wait)).CancellationToken);

        await host.WaitingAsync(0);
        await held.DisposeAsync();
        await using (await host.AcquireAsync())
        {
        }
        var stats = await host.AssertAddsUpAsync(Resources);
        Assert.Equal((2, Waits, 1), (stats.Ledger.Acquired, stats.Counters.Cancelled, stats.Ledger.Opened));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Acquire_WithTooManyInLine_IsRefusedAtOnce()
    {
        await using var host = await CreateAsync(1, options => (options.Capacity, options.QueueLimit) = (1, 2));
        var held = await host.AcquireAsync();
        var waits = new[] { host.AcquireAsync().AsTask(), host.AcquireAsync().AsTask() };
        await host.UntilAsync(stats => stats.Counts.Waiting == 2);

        var error = await Assert.ThrowsAsync<PoolExhaustedException>(async () => await host.AcquireAsync());

        Assert.Equal(TimeSpan.Zero, error.Limit);
        await held.DisposeAsync();
        foreach (var wait in waits) await (await wait).DisposeAsync();
    }

    [Fact(Timeout = HangLimit)]
    public async Task Return_Twice_IsCountedAndTheLoanIsOver()
    {
        await using var host = await CreateAsync(1);
        var loan = await host.AcquireAsync();
        await loan.DisposeAsync();
        var next = await host.AcquireAsync();

        await loan.DisposeAsync();
        loan.MarkBroken();

        Assert.Throws<ResourceReturnedException>(() => loan.Resource);
        Assert.Throws<ResourceReturnedException>(() => loan.Permit);
        await Assert.ThrowsAsync<PoolExhaustedException>(async () => await host.AcquireAsync(TimeSpan.Zero));
        using (next.Resource.Begin()) await next.DisposeAsync();
        var stats = await host.AssertAddsUpAsync(Resources);
        Assert.Equal((1, 2), (stats.Counters.StaleReturns, stats.Ledger.Returned));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Open_Failing_CostsNoCapacity()
    {
        await using var host = await CreateAsync(2);
        Resources.WhenOpening = _ => throw new IOException("nobody answers");
        for (var i = 0; i < 6; i++)
        {
            var error = await Assert.ThrowsAsync<ResourceOpenException>(async () => await host.AcquireAsync());
            Assert.Contains("nobody answers", error.Message, StringComparison.Ordinal);
        }

        Resources.WhenOpening = _ => Task.CompletedTask;
        var loans = new[] { await host.AcquireAsync(), await host.AcquireAsync() };

        foreach (var loan in loans) await loan.DisposeAsync();
        Assert.Equal(6, (await host.AssertAddsUpAsync(Resources)).Counters.OpenFailed);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Open_Hanging_EndsAtItsLimitAndTheNextInLineHasItsTurn()
    {
        await using var host = await CreateAsync(1, options => options.OpenLimit = TimeSpan.FromSeconds(2));
        var isFirst = 1;
        Resources.WhenOpening = token => Interlocked.Exchange(ref isFirst, 0) == 1 ? Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, token) : Task.CompletedTask;

        var hung = host.AcquireAsync().AsTask();
        await host.UntilAsync(_ => Volatile.Read(ref isFirst) == 0);
        var next = host.AcquireAsync().AsTask();
        await host.UntilAsync(_ => hung.IsCompleted, TimeSpan.FromMilliseconds(50));

        Assert.Contains("OpenLimit", (await Assert.ThrowsAsync<ResourceOpenException>(() => hung)).Message, StringComparison.Ordinal);
        await (await next).DisposeAsync();
    }

    [Fact(Timeout = HangLimit)]
    public async Task Token_RisesWithEachResourceOfANumber()
    {
        await using var host = await CreateAsync(1);
        for (var i = 0; i < 5; i++)
        {
            await using var loan = await host.AcquireAsync();
            Assert.Equal(Resources.Permits.Last(), loan.Permit);
            loan.MarkBroken();
        }

        Assert.Equal(5, Resources.Permits.Count);
        Assert.All(Resources.Permits.GroupBy(permit => permit.Number), permits => Assert.Equal(permits.Select(permit => permit.Token).Distinct().Order(), permits.Select(permit => permit.Token)));
    }
}
