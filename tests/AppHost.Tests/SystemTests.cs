using System.Net;

namespace DistributedPatterns.Tests;

/// <summary>What both hosts promise of the whole system.</summary>
public sealed class SystemTests(RunningSystem system) : IClassFixture<RunningSystem>, IAsyncLifetime
{
    private readonly CancellationTokenSource _limit = RunningSystem.Limit(TimeSpan.FromMinutes(2));

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        if (TestContext.Current.TestState?.Result == TestResult.Failed)
        {
            await system.WriteLogsAsync(line => TestContext.Current.TestOutputHelper?.WriteLine(line));
        }

        _limit.Dispose();
    }

    [Fact]
    public async Task Start_Everything_IsHealthyWithItsReplicas()
    {
        foreach (var name in RunningSystem.Replicas.Keys)
        {
            var replicas = await system.HealthyReplicasAsync(name, _limit.Token);
            Assert.All(replicas.Keys, id => Assert.Matches($"^{name}-[a-z]{{8}}$", id));
            Assert.Distinct(replicas.Values.Select(RunningSystem.Pid));
        }
    }

    [Fact]
    public async Task PublicEndpoints_Answer()
    {
        foreach (var name in new[] { "gateway", "producer", "worker", "reducer" })
        {
            using var client = system.App.CreateHttpClient(name, "http");
            // Another test may just have killed Redis, and clients look for it less and less often.
            while (await client.GetAsync(new Uri("/health", UriKind.Relative), _limit.Token) is { StatusCode: not HttpStatusCode.OK } response)
            {
                response.Dispose();
                await Task.Delay(TimeSpan.FromMilliseconds(100), TimeProvider.System, _limit.Token);
            }
        }
    }

    [Fact]
    public async Task ConnectionString_Redis_HasTheServersAddressAndThePassword()
    {
        var endpoint = system.App.GetEndpoint("redis-server", "redis");

        var connection = await system.App.GetConnectionStringAsync("redis", _limit.Token);

        Assert.StartsWith($"127.0.0.1:{endpoint.Port},password=", connection, StringComparison.Ordinal);
        Assert.Matches("password=[A-Za-z0-9]{22}$", connection);
    }

    [Fact]
    public async Task Replica_Killed_ComesBackAndTheOthersStay()
    {
        var before = await system.HealthyReplicasAsync("worker", _limit.Token);
        var (id, victim) = before.First();

        RunningSystem.Kill(victim);

        await system.WaitAsync(id, e => RunningSystem.IsHealthy(e) && RunningSystem.Pid(e) != RunningSystem.Pid(victim), _limit.Token);
        var after = await system.HealthyReplicasAsync("worker", _limit.Token);
        Assert.Equal(before.Keys.Order(), after.Keys.Order());
        Assert.All(before.Where(b => b.Key != id), b => Assert.Equal(RunningSystem.Pid(b.Value), RunningSystem.Pid(after[b.Key])));
    }

    [Fact]
    public async Task RedisServer_Killed_ComesBackAtTheSameAddress()
    {
        var (id, server) = (await system.HealthyReplicasAsync("redis-server", _limit.Token)).Single();
        var connection = await system.App.GetConnectionStringAsync("redis", _limit.Token);

        RunningSystem.Kill(server);

        await system.WaitAsync(id, e => RunningSystem.IsHealthy(e) && RunningSystem.Pid(e) != RunningSystem.Pid(server), _limit.Token);
        Assert.Equal(connection, await system.App.GetConnectionStringAsync("redis", _limit.Token));
    }

    [Fact]
    public async Task Replica_StoppedByCommand_StaysStoppedUntilStarted()
    {
        var (id, replica) = (await system.HealthyReplicasAsync("reducer", _limit.Token)).First();

        Assert.True((await system.App.ResourceCommands.ExecuteCommandAsync(id, KnownResourceCommands.StopCommand, _limit.Token)).Success);
        await system.WaitAsync(id, e => KnownResourceStates.TerminalStates.Contains(e.Snapshot.State?.Text), _limit.Token);

        // A restart would come within the first pause; a killed neighbour that is back proves that restarts went on meanwhile.
        await Replica_Killed_ComesBackAndTheOthersStay();
        Assert.True(system.App.ResourceNotifications.TryGetCurrentState(id, out var stopped));
        Assert.Contains(stopped.Snapshot.State?.Text, KnownResourceStates.TerminalStates);

        Assert.True((await system.App.ResourceCommands.ExecuteCommandAsync(id, KnownResourceCommands.StartCommand, _limit.Token)).Success);
        var started = await system.WaitAsync(id, RunningSystem.IsHealthy, _limit.Token);
        Assert.NotEqual(RunningSystem.Pid(replica), RunningSystem.Pid(started));
    }

    [Fact]
    public async Task Replica_RestartedByCommand_IsAnotherProcessWithTheSameId()
    {
        var (id, replica) = (await system.HealthyReplicasAsync("reducer", _limit.Token)).Last();

        Assert.True((await system.App.ResourceCommands.ExecuteCommandAsync(id, KnownResourceCommands.RestartCommand, _limit.Token)).Success);

        await system.WaitAsync(id, e => RunningSystem.IsHealthy(e) && RunningSystem.Pid(e) != RunningSystem.Pid(replica), _limit.Token);
    }

    [Fact]
    public async Task Command_NameOfSeveralReplicas_IsRefused()
    {
        var result = await system.App.ResourceCommands.ExecuteCommandAsync("worker", KnownResourceCommands.StopCommand, _limit.Token);

        Assert.False(result.Success);
    }
}
