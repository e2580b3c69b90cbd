using DistributedPatterns.Diagnostics;
using DistributedPatterns.ResourcePooling;
using DistributedPatterns.Tests.Guarantees;
using DistributedPatterns.Tests.Support;
using Microsoft.Extensions.Logging.Abstractions;

namespace DistributedPatterns.Tests.ResourcePooling;

/// <summary>The contract over <see cref="RedisPermitPool{T}"/>, on a real server; and what it promises over processes.</summary>
/// <remarks>The lease is long: a test process that stops for seconds on a busy machine must not look dead. What happens when one does: <see cref="RedisPermitPoolFaultTests"/>.</remarks>
[Guarantees("resource-pooling", Variants.Distributed, typeof(RedisPermitPoolFaultTests))]
[Promises(Guarantee.Order, "who waits is served by arrival, over all processes; idle ones of its own process may come first", nameof(Acquire_InSeveralProcesses_IsInTheOrderOfArrivalOverAllOfThem))]
[Promises(Guarantee.Delivery, "never more permits than `Permits` over all processes; what a frozen process has open comes on top",
    nameof(Acquire_InSeveralProcessesAtOnce_NeverOpensMoreThanThePermits))]
[Promises(Guarantee.ProcessDeath, "its permits and its place in line come back after the lease", nameof(RedisPermitPoolFaultTests.Holder_Killed_GivesItsPermitsAndItsPlaceBackWithItsLease))]
[Promises(Guarantee.StaleHolder, "is refused by its token where it writes", nameof(RedisPermitPoolFaultTests.Holder_FrozenPastItsLease_IsRefusedWhereItWrites))]
[Promises(Guarantee.Full, "a caller waits up to its limit, or is refused where too many do",
    nameof(Acquire_WithNothingFreeInTime_SaysWhyAndLeavesNothingBehind), nameof(Exhausted_OverAllProcesses_NamesThePermits))]
public abstract class RedisPermitPoolTests(SharedRedis shared, RedisKind kind) : ResourcePoolConformance
{
    private readonly string _tag = SharedRedis.NewTag();

    private protected override async ValueTask<PoolHost> CreateAsync(int open, Action<ResourcePoolOptions>? configure = null)
    {
        var redis = await (await shared.OfAsync(kind)).ConnectAsync();
        // More places than permits, so that those who wait do so in Redis.
        var options = new RedisPermitPoolOptions { Capacity = open + 10, Permits = open, KeyTag = _tag, Lease = TimeSpan.FromMinutes(1) };
        configure?.Invoke(options);
        var pool = new RedisPermitPool<TestResource>(redis, "test", Resources, options, TimeProvider.System, NullLogger<RedisPermitPool<TestResource>>.Instance);
        return new PoolHost(pool, step => Task.Delay(step, TimeProvider.System, TestStop), redis.DisposeAsync);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Acquire_InSeveralProcesses_IsInTheOrderOfArrivalOverAllOfThem()
    {
        await using var a = await CreateAsync(1);
        await using var b = await CreateAsync(1);
        await using var c = await CreateAsync(1);
        var held = await b.AcquireAsync();
        var served = new List<int>();
        var waiters = new List<Task>();
        PoolHost[] order = [a, b, b, c, a, c, b, a, c];
        for (var i = 0; i < order.Length; i++)
        {
            waiters.Add(WaitAsync(order[i], i));
            await a.WaitingAsync(i + 1);
        }

        await held.DisposeAsync();
        await Task.WhenAll(waiters);

        Assert.Equal(Enumerable.Range(0, order.Length), served);
        Assert.Equal(1, Resources.MostOpen);

        async Task WaitAsync(PoolHost host, int number)
        {
            await using var loan = await host.AcquireAsync();
            lock (served) served.Add(number);
        }
    }

    [Fact(Timeout = HangLimit)]
    public async Task Acquire_LeftAtAnyPointOfItsWay_LeavesNoPlaceInLine()
    {
        const int Callers = 8;
        const int Rounds = 200;
        await using var host = await CreateAsync(1);
        await using var held = await host.AcquireAsync(); // so a place left behind is never granted, and stays

        await Task.WhenAll(Enumerable.Range(0, Callers).Select(caller => Task.Run(async () =>
        {
            var random = new Random(caller);
            for (var round = 0; round < Rounds; round++)
            {
                using var leave = new CancellationTokenSource();
                var call = host.Pool.AcquireAsync(TimeSpan.FromMinutes(1), leave.Token).AsTask();
                for (var yields = random.Next(100); yields > 0; yields--) await Task.Yield();
                await leave.CancelAsync();
                await Assert.ThrowsAnyAsync<OperationCanceledException>(() => call);
            }
        }, TestStop)));

        await host.WaitingAsync(0);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Acquire_InSeveralProcessesAtOnce_NeverOpensMoreThanThePermits()
    {
        const int Callers = 8;
        const int Rounds = 30;
        PoolHost[] hosts = [await CreateAsync(4), await CreateAsync(4), await CreateAsync(4)];

        await Task.WhenAll(hosts.SelectMany(host => Enumerable.Range(0, Callers).Select(caller => Task.Run(async () =>
        {
            for (var round = 0; round < Rounds; round++)
            {
                await using var loan = await host.AcquireAsync();
                using (loan.Resource.Begin()) await Task.Yield();
                if ((caller + round) % 13 == 0) loan.MarkBroken();
            }
        }, TestStop))));

        Assert.InRange(Resources.MostOpen, 1, 4);
        foreach (var host in hosts)
        {
            var stats = await host.StatsAsync();
            Assert.Equal((Callers * Rounds, 0), (stats.Ledger.Acquired, stats.Ledger.Active));
            Assert.Equal(stats.Permits!.Granted, stats.Permits.Held + stats.Permits.Released + stats.Permits.Expired);
            Assert.InRange(stats.Permits.Held, 0, 4);
        }
        foreach (var host in hosts) await host.DisposeAsync();
        Assert.Equal(0, Resources.Open);
        await using var last = await CreateAsync(4);
        Assert.Equal((0, 0), ((await last.StatsAsync()).Permits!.Held, (await last.StatsAsync()).Permits!.Waiting));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Acquire_WhileAnotherProcessHasAllPermitsIdle_GetsOne()
    {
        await using var idle = await CreateAsync(2);
        await using var other = await CreateAsync(2);
        var loans = new[] { await idle.AcquireAsync(), await idle.AcquireAsync() };
        foreach (var loan in loans) await loan.DisposeAsync();
        Assert.Equal(2, (await idle.StatsAsync()).Counts.Idle);

        await using var got = await other.AcquireAsync();

        var stats = await idle.UntilAsync(stats => stats.Counts.Idle == 1);
        Assert.Equal(1, stats.Counters.ClosedBecause[CloseReason.HandedOn]);
        Assert.Equal((2, 2), (Resources.MostOpen, stats.Permits!.Held));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Loans_WithNobodyWaiting_AskRedisNothing()
    {
        await using var host = await CreateAsync(2);
        await (await host.AcquireAsync()).DisposeAsync();
        var before = (await host.StatsAsync()).Permits!;

        for (var i = 0; i < 1_000; i++) await (await host.AcquireAsync()).DisposeAsync();

        Assert.Equal((before.Granted, before.Released, 1), ((await host.StatsAsync()).Permits!.Granted, (await host.StatsAsync()).Permits!.Released, Resources.Opened));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Clear_ReachesAllProcesses()
    {
        await using var a = await CreateAsync(2);
        await using var b = await CreateAsync(2);
        await (await a.AcquireAsync()).DisposeAsync();
        await (await b.AcquireAsync()).DisposeAsync();

        await a.Pool.ClearAsync(TestStop);

        foreach (var host in (PoolHost[])[a, b])
            Assert.Equal(1, (await host.UntilAsync(stats => stats.Ledger.Open == 0)).Counters.ClosedBecause[CloseReason.Cleared]);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Exhausted_OverAllProcesses_NamesThePermits()
    {
        await using var a = await CreateAsync(1);
        await using var b = await CreateAsync(1);
        await using var held = await a.AcquireAsync();

        var error = await Assert.ThrowsAsync<PoolExhaustedException>(async () => await b.AcquireAsync(TimeSpan.FromSeconds(2)));

        Assert.Contains("1 of 1 permits are out", error.Message, StringComparison.Ordinal);
        await a.WaitingAsync(0);
    }
}

public sealed class RedisPermitPoolOnGarnetTests(SharedRedis shared) : RedisPermitPoolTests(shared, RedisKind.Garnet);

public sealed class RedisPermitPoolOnRedisTests(SharedRedis shared) : RedisPermitPoolTests(shared, RedisKind.Redis);
