using System.Net;

namespace DistributedPatterns.Tests.Faults;

/// <summary>Rate limiting, producer-consumer, the worker pool, fan-out/fan-in, map-reduce, supervision, deadlines and singleflight over HTTP, each in the middle of its work when a process dies or freezes.</summary>
/// <remarks>The patterns run side by side: one fault hits all of them. What fails says by its load which one it was.</remarks>
public sealed class FaultTests(FaultSystem system) : IClassFixture<FaultSystem>, IAsyncLifetime
{
    private readonly CancellationTokenSource _limit = RunningSystem.Limit(TimeSpan.FromSeconds(120));

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        if (TestContext.Current.TestState?.Result == TestResult.Failed)
            await system.WriteLogsAsync(line => TestContext.Current.TestOutputHelper?.WriteLine(line));
        _limit.Dispose();
    }

    [Theory]
    [InlineData("worker")]
    [InlineData("producer")]
    [InlineData("reducer")]
    [InlineData("gateway")]
    [InlineData("redis-server")]
    public Task Patterns_AProcessIsKilledInMidRun_LoseNothingAndCountNothingTwice(string role) => RunAsync(role, async victim =>
    {
        RunningSystem.Kill(victim);
        await system.WaitAsync(victim.ResourceId, e => RunningSystem.IsHealthy(e) && RunningSystem.Pid(e) != RunningSystem.Pid(victim), _limit.Token);
    });

    [Fact]
    public async Task Patterns_AWorkerIsFrozenInMidRun_LoseNothingAndCountNothingTwice()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Windows has no SIGSTOP.");
        await RunAsync("worker", async victim =>
        {
            await RunningSystem.FreezeAsync(victim);
            try
            {
                await Task.Delay(FaultSystem.Lease * 2, TimeProvider.System, _limit.Token);
            }
            finally
            {
                await RunningSystem.ThawAsync(victim);
            }
        });
    }

    [Fact]
    public async Task ConcurrencyPermits_TheGatewayThatHoldsThemIsKilled_ComeBackWithTheLease()
    {
        const string Limit = "/api/rate-limiting/distributed?algorithm=concurrency&key=held";
        const int All = 10; // at the same time, when nothing is set
        using var client = new PatientClient(system);
        using var holder = system.App.CreateHttpClient("gateway", "http");
        var before = await AdmittedAsync();
        var holding = holder.GetAsync(new Uri($"{Limit}&cost={All}&work=io:60s", UriKind.Relative), _limit.Token);
        // Not by asking for permits: one that is out for a moment would be missing to the holder.
        while (await AdmittedAsync() == before) await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, _limit.Token);
        while (await AskAsync(1) != HttpStatusCode.TooManyRequests) await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, _limit.Token);

        RunningSystem.Kill((await system.HealthyReplicasAsync("gateway", _limit.Token)).Single().Value);

        await Assert.ThrowsAnyAsync<HttpRequestException>(() => holding);
        while (await AskAsync(All) != HttpStatusCode.OK) await Task.Delay(TimeSpan.FromMilliseconds(100), TimeProvider.System, _limit.Token);

        async Task<long> AdmittedAsync() =>
            (await client.GetAsync("/api/rate-limiting/distributed/stats", _limit.Token)).GetProperty("algorithms").EnumerateArray()
                .Single(algorithm => algorithm.GetProperty("algorithm").GetString() == "concurrency").GetProperty("admitted").GetInt64();

        async Task<HttpStatusCode> AskAsync(int cost) =>
            (await client.SendAsync(HttpMethod.Get, $"{Limit}&cost={cost}", null, null, [HttpStatusCode.OK, HttpStatusCode.TooManyRequests], _limit.Token)).Status;
    }

    private async Task RunAsync(string role, Func<Aspire.Hosting.ApplicationModel.ResourceEvent, Task> breakAsync)
    {
        foreach (var name in RunningSystem.Replicas.Keys) await system.HealthyReplicasAsync(name, _limit.Token);
        var victim = (await system.HealthyReplicasAsync(role, _limit.Token)).First().Value;
        using var client = new PatientClient(system);
        PatternLoad[] loads = [new RateLimitingLoad(client), new ProducerConsumerLoad(client), new WorkerPoolLoad(client), new FanOutFanInLoad(client), new FeedLoad(client), new MapReduceLoad(client), new SupervisionLoad(client), new DeadlinesLoad(client), new SingleFlightLoad(client)];
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(_limit.Token);
        var over = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var running = loads.Select(load => load.RunAsync(over.Task, stop.Token)).ToList();
        try
        {
            while (loads.Any(load => load.Done == 0) && !running.Any(run => run.IsFaulted))
                await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, _limit.Token);
            await breakAsync(victim);
            over.SetResult();
            while (running.Count > 0)
            {
                var next = await Task.WhenAny(running);
                running.Remove(next);
                await next;
            }
        }
        finally
        {
            await stop.CancelAsync();
            await ((Task)Task.WhenAll(running)).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
        foreach (var load in loads) await load.CheckAsync(role, _limit.Token);
        // Only the gateway and Redis are in the way of a request; everything else is made up for behind it.
        Assert.True(client.Retries == 0 || role is "gateway" or "redis-server", $"{client.Retries} requests were refused.");
    }
}
