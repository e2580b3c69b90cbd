using DistributedPatterns.SingleFlight;
using DistributedPatterns.Tests.SingleFlight;
using StackExchange.Redis;

namespace DistributedPatterns.Tests.Cluster;

/// <summary>Flights: those who wait while the master fails over get an outcome, and flights go on afterwards.</summary>
internal sealed class FlightsUser : ScriptUser
{
    public override IReadOnlyList<string> Scripts => ["SingleFlight/flight.lua"];

    public override async Task RunAsync(RedisCluster cluster, IConnectionMultiplexer redis, string tag, Func<Task> failOver)
    {
        var work = new TestWork();
        await using var processes = await FlightCluster.StartAsync(
            cluster, 2, options => (options.KeyTag, options.Lease, options.PollEvery, options.RetryFor) = (tag, TimeSpan.FromSeconds(2), TimeSpan.FromMilliseconds(100), Limit), work.Definition);
        var host = processes.Host;
        // A flight has a slot of its own: take one that the failing master has.
        var database = redis.GetDatabase();
        var master = await database.IdentifyEndpointAsync($"{{{tag}}}");
        var key = "";
        for (var i = 0; key.Length == 0; i++)
        {
            if (Equals(await database.IdentifyEndpointAsync(processes.Script.PlaceOf(work.Name, $"{i}").Keys[0]), master)) key = $"{i}";
        }
        Task<FlightResult<string>>[] calls = [host.RunAsync(0, key), host.RunAsync(1, key)];
        var first = await work.NextAsync();

        await failOver();

        first.Return("first");
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        var answering = work.AnswerAllAsync(stop.Token); // the run may have been cancelled, or lost with the old master
        // Not the same for both where one had it and the old master took it along.
        Assert.All((await Task.WhenAll(calls)).GroupBy(result => result.Fence), run => Assert.Single(run.Select(result => result.Value).Distinct()));
        Assert.NotNull((await InsistAsync(() => host.RunAsync(0, key))).Value);
        await stop.CancelAsync();
        await answering.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }
}
