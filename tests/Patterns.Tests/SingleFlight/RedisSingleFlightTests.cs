using DistributedPatterns.Diagnostics;
using DistributedPatterns.SingleFlight;
using DistributedPatterns.Tests.Guarantees;
using DistributedPatterns.Tests.Support;

namespace DistributedPatterns.Tests.SingleFlight;

/// <summary>The contract over <see cref="RedisSingleFlight"/> in two processes, on a real server, and what only it promises.</summary>
/// <remarks>
/// The lease is long: a test process that stops for seconds on a busy machine must not look dead. What happens when one does:
/// <see cref="RedisSingleFlightFaultTests"/>.
/// </remarks>
[Guarantees("single-flight", Variants.Distributed, typeof(RedisSingleFlightFaultTests))]
[DoesNotPromise(Guarantee.Order, "none: keys have nothing to do with each other")]
[Promises(Guarantee.Delivery, "one outcome for all who waited; two runs of a key while a leader past its lease does not know it",
    nameof(Run_ByManyAtOnce_RunsOnceAndAllGetTheSame), nameof(RedisSingleFlightFaultTests.Leader_FreezesPastItsLease_IsRefusedWhenItPublishes))]
[Promises(Guarantee.ProcessDeath, "another process runs the work after the lease; what is kept stays",
    nameof(RedisSingleFlightFaultTests.LeaderProcess_IsKilledOrFrozenInMidFlight_AnotherRunsTheWorkOnce), nameof(Stop_OfTheProcessThatRanTheWork_LeavesItsResult))]
[Promises(Guarantee.StaleHolder, "has its outcome refused by its token, and counted", nameof(RedisSingleFlightFaultTests.Leader_FreezesPastItsLease_IsRefusedWhenItPublishes))]
[Promises(Guarantee.Full, "a key beyond `MaxFlights` or a caller beyond `MaxCallers` of a process is refused, and counted", nameof(Run_BeyondTheLimits_IsRefusedAndCounted))]
public abstract class RedisSingleFlightTests(SharedRedis shared, RedisKind kind) : SingleFlightConformance
{
    private FlightCluster? _cluster;

    protected override bool SurvivesProcessDeath => true;

    protected override bool RunsOnceForSure => false;

    internal override async ValueTask<FlightHost> CreateAsync(Action<SingleFlightOptions>? configure, params FlightDefinition[] works) => (await StartAsync(configure, works)).Host;

    internal override Task RegisteredAsync(FlightHost host, string key) => _cluster!.RegisteredAsync(key);

    [Fact(Timeout = HangLimit)]
    public async Task Leave_OfTheLeadersCallers_LetsTheRunGoOnForOthersAndEndWithThem()
    {
        using var here = new CancellationTokenSource();
        using var there = new CancellationTokenSource();
        await using var cluster = await StartAsync(null, Work.Definition);
        var host = cluster.Host;
        var leader = host.RunUntilAsync(0, "key", here.Token);
        var run = await Work.NextAsync();
        var waiter = host.RunUntilAsync(1, "key", there.Token);
        await RegisteredAsync(host, "key");

        await here.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => leader);
        var back = host.RunUntilAsync(0, "key", there.Token); // as one that waits: its process leads already
        await cluster.RegisteredAsync("key", waiters: 2);
        Assert.False(run.Context.Token.IsCancellationRequested);
        Assert.Equal(1, Work.Started);

        await there.CancelAsync();
        await run.UntilCancelledAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiter);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => back);
        Assert.Equal((1, 0), ((await host.AtRestAsync()).Cancelled, host.Read().Unpublished));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Run_ThatItsLeaderLeft_IsPublishedForThoseWhoWait()
    {
        using var here = new CancellationTokenSource();
        await using var cluster = await StartAsync(null, Work.Definition);
        var host = cluster.Host;
        var leader = host.RunUntilAsync(0, "key", here.Token);
        var run = await Work.NextAsync();
        var waiter = host.RunAsync(1, "key");
        await RegisteredAsync(host, "key");

        await here.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => leader);
        run.Return("value");

        Assert.Equal(("value", FlightRole.Joined), ((await waiter).Value, (await waiter).Role));
        Assert.Equal(1, (await host.AtRestAsync()).Published);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Run_OfABurst_CostsEachProcessThreeCommandsAtMost()
    {
        const int Bursts = 5;
        await using var cluster = await StartAsync(null, Work.Definition);
        var host = cluster.Host;
        await BurstAsync("warm up"); // the doorbell is subscribed by now
        long[] before = [cluster.CommandsOf(0), cluster.CommandsOf(1)];

        for (var i = 0; i < Bursts; i++) await BurstAsync($"key {i}");

        // The connection asks the server something of its own now and then.
        for (var process = 0; process < 2; process++) Assert.InRange(cluster.CommandsOf(process) - before[process], 2 * Bursts, (3 * Bursts) + 2);

        async Task BurstAsync(string key)
        {
            var leading = host.RunAsync(0, key);
            var run = await Work.NextAsync();
            var joining = Enumerable.Range(0, 200).Select(i => host.RunAsync(i, key)).ToList();
            await RegisteredAsync(host, key);
            run.Return(key);
            await leading;
            Assert.All(await Task.WhenAll(joining), result => Assert.Equal(key, result.Value));
        }
    }

    [Fact(Timeout = HangLimit)]
    public async Task Run_WhoseResultIsTooLarge_FailsAndNamesTheLimit()
    {
        await using var cluster = await StartAsync(options => ((RedisSingleFlightOptions)options).MaxResultBytes = 1_000, Work.Definition);
        var host = cluster.Host;
        var call = host.RunAsync(0, "key");

        (await Work.NextAsync()).Return(new string('x', 1_000)); // and its length before it

        Assert.Contains("1,004 bytes; 1,000 are allowed (MaxResultBytes)", (await Assert.ThrowsAsync<FlightFailedException>(() => call)).Message, StringComparison.Ordinal);
    }

    private async Task<FlightCluster> StartAsync(Action<SingleFlightOptions>? configure, params FlightDefinition[] works) =>
        _cluster = await FlightCluster.StartAsync(await shared.OfAsync(kind), 2, options =>
        {
            (options.Lease, options.PollEvery) = (TimeSpan.FromMinutes(1), TimeSpan.FromSeconds(2));
            configure?.Invoke(options);
        }, works);
}

public sealed class RedisSingleFlightOnGarnetTests(SharedRedis shared) : RedisSingleFlightTests(shared, RedisKind.Garnet);

public sealed class RedisSingleFlightOnRedisTests(SharedRedis shared) : RedisSingleFlightTests(shared, RedisKind.Redis);
