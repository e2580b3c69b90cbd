using System.Globalization;
using DistributedPatterns.SingleFlight;
using DistributedPatterns.Tests.Support;

namespace DistributedPatterns.Tests.SingleFlight;

/// <summary>Leaders that die, freeze and stop, and a Redis that does: one more run, nobody waits longer than lease and work, and who was replaced is refused.</summary>
public sealed class RedisSingleFlightFaultTests(SharedRedis shared)
{
    private const int HangLimit = 90_000;

    private static readonly TimeSpan s_lease = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan s_poll = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(40);

    private readonly TestWork _work = new();

    private static CancellationToken TestStop => TestContext.Current.CancellationToken;

    [Theory(Timeout = HangLimit)]
    [InlineData(RedisKind.Redis)]
    [InlineData(RedisKind.Garnet)]
    public async Task Leader_LosesItsConnection_AnotherRunsTheWorkAndItsOwnRunStops(RedisKind kind)
    {
        await using var cluster = await StartAsync(await shared.OfAsync(kind), 3);
        var host = cluster.Host;
        var leader = host.RunAsync(0, "key", "leader's");
        var first = await _work.NextAsync();
        Task<FlightResult<string>>[] waiters = [host.RunAsync(1, "key", "waiter's"), host.RunAsync(2, "key", "waiter's")];
        await cluster.RegisteredAsync("key", waiters: 2);

        await cluster.CutOffAsync(0);

        var second = await _work.NextAsync();
        Assert.Equal("waiter's", second.Input); // with its own caller's input
        Assert.True(second.Context.Fence > first.Context.Fence);
        second.Return("value");
        Assert.All(await Task.WhenAll(waiters), result => Assert.Equal(("value", second.Context.Fence), (result.Value, result.Fence)));
        // Not told by anybody: its own clock says that its lease must be over.
        await first.UntilCancelledAsync();
        await Assert.ThrowsAsync<FlightUnavailableException>(() => leader);
        Assert.Equal(2, _work.Started);
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(RedisKind.Redis)]
    [InlineData(RedisKind.Garnet)]
    public async Task Leader_FreezesPastItsLease_IsRefusedWhenItPublishes(RedisKind kind)
    {
        await using var cluster = await StartAsync(await shared.OfAsync(kind), 2);
        var (host, script) = (cluster.Host, cluster.Script);
        var place = script.PlaceOf("text", "key");
        // The test itself is the first leader, and then says nothing any more.
        var lead = await script.CallAsync(place, "join", "ghost", 0, "-");
        Assert.Equal("lead", (string?)lead[0]);
        var token = (long)lead[1];

        var call = host.RunAsync(0, "key", call: new FlightCall { Ttl = TimeSpan.FromMinutes(1) });
        var run = await _work.NextAsync();
        Assert.True(run.Context.Fence > token);

        Assert.Equal("fenced", (string?)(await script.CallAsync(place, "extend", "ghost", token))[0]);
        Assert.Equal("fenced", (string?)(await script.CallAsync(place, "done", "ghost", token, "late", 60_000))[0]);
        run.Return("value");
        Assert.Equal("value", (await call).Value);
        Assert.Equal("fenced", (string?)(await script.CallAsync(place, "done", "ghost", token, "late", 60_000))[0]);
        // Who was replaced gets what its successor published.
        Assert.Equal("done", (string?)(await script.CallAsync(place, "join", "ghost", token, "-"))[0]);
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(false)]
    [InlineData(true)]
    public async Task LeaderProcess_IsKilledOrFrozenInMidFlight_AnotherRunsTheWorkOnce(bool freezes)
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Windows has no SIGSTOP.");
        var server = await shared.OfAsync(RedisKind.Garnet);
        await using var cluster = await StartAsync(server, 2);
        await using var process = await WatchedProcess.StartBuiltAsync("MemberProcess", new Dictionary<string, string>
        {
            ["ConnectionStrings__redis"] = server.ConnectionString,
            ["ASPNETCORE_URLS"] = "http://127.0.0.1:0",
            ["GRPC_PORT"] = "0",
            ["OTEL_SERVICE_NAME"] = "leader",
            ["Members__Group"] = SharedRedis.NewTag(),
            ["Patterns__SingleFlight__Redis__KeyTag"] = cluster.KeyTag,
            ["Patterns__SingleFlight__Redis__Lease"] = s_lease.ToString("c", CultureInfo.InvariantCulture),
            ["Patterns__SingleFlight__Redis__PollEvery"] = s_poll.ToString("c", CultureInfo.InvariantCulture),
        });
        await SaysAsync("@leads");
        var host = cluster.Host;
        Task<FlightResult<string>>[] waiters = [host.RunAsync(0, "key"), host.RunAsync(1, "key")];
        await cluster.RegisteredAsync("key", waiters: 2);
        Assert.Equal(0, _work.Started);

        if (freezes) await process.PauseAsync();
        else await process.KillAsync();

        var run = await _work.NextAsync();
        if (freezes)
        {
            await process.ResumeAsync();
            await SaysAsync("@cancelled");
        }
        run.Return("the successor's");
        Assert.All(await Task.WhenAll(waiters), result => Assert.Equal("the successor's", result.Value));
        if (freezes) await SaysAsync("@got the successor's"); // its own run came to nothing, and its caller has what all have
        Assert.Equal(1, _work.Started);

        Task SaysAsync(string text) => Eventually.TrueAsync(() => process.Output.Contains(text, StringComparison.Ordinal), s_limit, () => process.Output);
    }

    [Fact(Timeout = HangLimit)]
    public async Task LeaderProcess_Stops_GivesTheRunBackAtOnce()
    {
        await using var cluster = await FlightCluster.StartAsync(
            await shared.OfAsync(RedisKind.Garnet), 2, options => (options.Lease, options.DrainLimit) = (TimeSpan.FromMinutes(10), TimeSpan.FromMilliseconds(100)), _work.Definition);
        var host = cluster.Host;
        var leader = host.RunAsync(0, "key");
        var first = await _work.NextAsync();
        var waiter = host.RunAsync(1, "key");
        await cluster.RegisteredAsync("key");

        await ((IAsyncDisposable)host[0]).DisposeAsync();

        await Assert.ThrowsAsync<SingleFlightStoppedException>(() => leader);
        (await _work.NextAsync()).Return("value"); // long before the lease is over
        Assert.Equal("value", (await waiter).Value);
        await first.UntilCancelledAsync();
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(RedisKind.Redis)]
    [InlineData(RedisKind.Garnet)]
    public async Task Redis_IsFrozenForLongerThanALease_RunsStopAndAreRunAnew(RedisKind kind)
    {
        await using var server = await RedisBackend.StartAsync(kind);
        await using var cluster = await FlightCluster.StartAsync(
            server, 2, options => (options.Lease, options.PollEvery, options.RetryFor) = (s_lease, s_poll, TimeSpan.FromSeconds(40)), _work.Definition);
        var host = cluster.Host;
        Task<FlightResult<string>>[] calls = [host.RunAsync(0, "key"), host.RunAsync(1, "key")];
        var first = await _work.NextAsync();
        await WaitsAsync(cluster); // who arrives after the thaw is a newcomer, and may have a run of its own

        await server.PauseAsync();
        await first.UntilCancelledAsync();
        Assert.Equal(1, _work.Started);
        await server.ResumeAsync();

        await AnswerAsync(async () => Assert.Single((await Task.WhenAll(calls)).Select(result => (result.Value, result.Fence)).Distinct()));
        var ledger = await host.AtRestAsync();
        Assert.Equal((_work.Started, 1, _work.Started - 1), (ledger.Started, ledger.Published, ledger.Unpublished));
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(RedisKind.Redis)]
    [InlineData(RedisKind.Garnet)]
    public async Task Redis_IsKilledInMidFlight_AllGetTheSameOutcomeOfOneRun(RedisKind kind)
    {
        await using var server = await RedisBackend.StartAsync(kind);
        await using var cluster = await FlightCluster.StartAsync(
            server, 2, options => (options.Lease, options.PollEvery, options.RetryFor) = (TimeSpan.FromSeconds(30), s_poll, TimeSpan.FromSeconds(40)), _work.Definition);
        var host = cluster.Host;
        var leader = host.RunAsync(0, "key");
        var run = await _work.NextAsync();
        var waiter = host.RunAsync(1, "key");
        await WaitsAsync(cluster);

        await server.KillAsync();
        run.Return("first"); // while there is nobody to publish it to
        await server.RestartAsync();

        // A server that lost its last second may not know of the run: then it is run again.
        await AnswerAsync(async () => Assert.Single((await Task.WhenAll(leader, waiter)).Select(result => (result.Value, result.Fence)).Distinct()));
        Assert.InRange(_work.Started, 1, 2);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Redis_IsAwayForLongerThanRetryFor_CallersAreTold()
    {
        await using var server = await RedisBackend.StartAsync(RedisKind.Redis);
        await using var cluster = await FlightCluster.StartAsync(server, 1, options => options.RetryFor = TimeSpan.FromMilliseconds(300), _work.Definition);
        await server.KillAsync();

        await Assert.ThrowsAsync<FlightUnavailableException>(() => cluster.Host.RunAsync(0, "key"));
        await Assert.ThrowsAsync<FlightUnavailableException>(async () => await cluster.Host[0].ForgetAsync("text", "key", TestStop));
        Assert.Equal((1, 0), (cluster.Host.Read().Failed, _work.Started));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Redis_ForgetsEverything_AllGetTheOutcomeOfALaterRun()
    {
        await using var server = await RedisBackend.StartAsync(RedisKind.Redis);
        await using var cluster = await StartAsync(server, 2);
        var host = cluster.Host;
        Task<FlightResult<string>>[] calls = [host.RunAsync(0, "key"), host.RunAsync(1, "key")];
        var first = await _work.NextAsync();
        await cluster.RegisteredAsync("key");

        await using (var redis = await server.ConnectAsync()) await redis.GetServers().Single().FlushAllDatabasesAsync();
        first.Return("first");

        var second = await _work.NextAsync();
        Assert.True(second.Context.Fence > first.Context.Fence);
        second.Return("second");
        Assert.All(await Task.WhenAll(calls), result => Assert.Equal("second", result.Value));
    }

    /// <summary>Waits until another process waits, and knows for which run: it has asked a second time.</summary>
    private static async Task WaitsAsync(FlightCluster cluster)
    {
        await cluster.RegisteredAsync("key");
        var waiters = cluster.Script.PlaceOf("text", "key").Keys[2];
        var first = await cluster.Database.StringGetAsync(waiters);
        await Eventually.TrueAsync(async () => await cluster.Database.StringGetAsync(waiters) != first, s_limit, () => "it does not ask again");
    }

    /// <summary>Lets all further runs end at once while something is waited for.</summary>
    private async Task AnswerAsync(Func<Task> meanwhile)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(TestStop);
        var answering = _work.AnswerAllAsync(stop.Token);
        await meanwhile();
        await stop.CancelAsync();
        await answering.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private Task<FlightCluster> StartAsync(IRedisServer server, int processes) =>
        FlightCluster.StartAsync(server, processes, options => (options.Lease, options.PollEvery) = (s_lease, s_poll), _work.Definition);
}
