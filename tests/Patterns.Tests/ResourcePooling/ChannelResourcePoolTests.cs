using DistributedPatterns.Diagnostics;
using DistributedPatterns.ResourcePooling;
using DistributedPatterns.Tests.Guarantees;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

namespace DistributedPatterns.Tests.ResourcePooling;

/// <summary>The contract over <see cref="ChannelResourcePool{T}"/>, on a clock of its own; and what only it promises.</summary>
[Guarantees("resource-pooling", Variants.Channel)]
[Promises(Guarantee.Order, "who waits is served by arrival", nameof(Acquire_ByThoseWhoWait_IsInTheOrderOfArrival))]
[Promises(Guarantee.Delivery, "never more open than `Capacity`, none lent twice", nameof(Acquire_ByManyCallers_NeverOpensMoreThanMayBeNorLendsOneTwice))]
[DoesNotPromise(Guarantee.ProcessDeath, "its resources are gone")]
[Promises(Guarantee.StaleHolder, "a loan that is over is refused, and counted", nameof(Return_Twice_IsCountedAndTheLoanIsOver))]
[Promises(Guarantee.Full, "a caller waits up to its limit, or is refused where too many do",
    nameof(Acquire_WithNothingFreeInTime_SaysWhyAndLeavesNothingBehind), nameof(Acquire_WithTooManyInLine_IsRefusedAtOnce))]
public sealed class ChannelResourcePoolTests : ResourcePoolConformance
{
    private protected override ValueTask<PoolHost> CreateAsync(int open, Action<ResourcePoolOptions>? configure = null)
    {
        var time = new FakeTimeProvider();
        var options = new ResourcePoolOptions { Capacity = open };
        configure?.Invoke(options);
        return new(new PoolHost(new ChannelResourcePool<TestResource>("test", Resources, options, time, NullLogger<ChannelResourcePool<TestResource>>.Instance), async step =>
        {
            time.Advance(step);
            await Task.Delay(TimeSpan.FromMilliseconds(5), TimeProvider.System, TestStop); // whoever that woke goes first
        }));
    }

    [Fact(Timeout = HangLimit)]
    public async Task AcquireAndReturn_WithNobodyWaiting_AllocateNothing()
    {
        await using var host = await CreateAsync(4, options => options.ResetOnReturn = false);
        for (var i = 0; i < 1_000; i++) await (await host.Pool.AcquireAsync(null, TestStop)).DisposeAsync();

        // Awaiting what is complete stays on this thread.
        var (thread, before) = (Environment.CurrentManagedThreadId, GC.GetAllocatedBytesForCurrentThread());
        for (var i = 0; i < 10_000; i++) await (await host.Pool.AcquireAsync(null, TestStop)).DisposeAsync();
        var allocated = GC.GetAllocatedBytesForCurrentThread() - before;

        Assert.Equal((thread, 0), (Environment.CurrentManagedThreadId, allocated));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Lifetimes_OfThoseOpenedTogether_Differ()
    {
        // While the machine holds up the pool's care, the fake clock runs on, and many lifetimes end at one look: then once more.
        var seen = new HashSet<long>();
        await Support.Eventually.TrueAsync(EndsOneByOneAsync, TimeSpan.FromSeconds(60), () => $"open: {string.Join(' ', seen)}");

        async Task<bool> EndsOneByOneAsync()
        {
            await using var host = await CreateAsync(16, options => (options.MaxLifetime, options.LifetimeJitter, options.IdleLimit) = (TimeSpan.FromHours(1), 0.5, TimeSpan.FromDays(1)));
            var loans = new List<PooledResource<TestResource>>();
            for (var i = 0; i < 16; i++) loans.Add(await host.AcquireAsync());
            foreach (var loan in loans) await loan.DisposeAsync();

            seen.Clear();
            await host.UntilAsync(
                stats =>
                {
                    seen.Add(stats.Ledger.Open);
                    return stats.Ledger.Open == 0;
                }, TimeSpan.FromMinutes(2));
            return seen.Count >= 4;
        }
    }

    [Fact(Timeout = HangLimit)]
    public async Task Acquire_OnManyThreadsWithoutReset_KeepsEachLoanToItself()
    {
        const int Rounds = 20_000;
        await using var host = await CreateAsync(3, options => options.ResetOnReturn = false);

        await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(async () =>
        {
            for (var round = 0; round < Rounds; round++)
            {
                var loan = await host.AcquireAsync();
                loan.Resource.Begin().Dispose();
                await loan.DisposeAsync();
            }
        }, TestStop)));

        var stats = await host.AssertAddsUpAsync(Resources);
        Assert.Equal((8 * Rounds, 0, 0), (stats.Ledger.Acquired, stats.Ledger.Active, stats.Counters.StaleReturns));
        Assert.InRange(Resources.MostOpen, 1, 3);
    }
}
