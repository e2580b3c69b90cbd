using DistributedPatterns.MapReduce;
using DistributedPatterns.Tests.MapReduce;
using StackExchange.Redis;

namespace DistributedPatterns.Tests.Cluster;

/// <summary>A job of map-reduce goes on through a failover and gives the same result; the next one starts after it.</summary>
internal sealed class MapReduceUser : ScriptUser
{
    public override IReadOnlyList<string> Scripts => ["MapReduce/mapreduce.lua"];

    public override async Task RunAsync(RedisCluster cluster, IConnectionMultiplexer redis, string tag, Func<Task> failOver)
    {
        var stop = TestContext.Current.CancellationToken;
        using var gate = new ManualResetEventSlim();
        var lines = new LongestLineJob(before: offset => { if (offset > 30_000) gate.Wait(stop); });
        await using var system = await MapReduceSystem.StartRedisAsync(cluster, null, tag: tag, jobs: lines);
        var request = new MapReduceRequest("longest-line", "us-constitution") { SplitBytes = 1_024 };
        var started = await InsistAsync(() => system.MapReduce.StartAsync(request with { Id = "through" }, stop));
        await InsistAsync(async () => (await system.MapReduce.FindAsync(started.Id, stop))!.Maps.Done > 20 ? true : throw new TimeoutException("too little is mapped"));

        await failOver();
        gate.Set();

        var end = await InsistAsync(() => system.MapReduce.WaitAsync(started.Id, stop));
        Assert.Equal((MapReduceState.Completed, null), (end!.State, end.Error));
        Assert.Equal(Plainly.LongestLine(Plainly.Constitution), await system.ReadAsync(end.Id));
        var next = await InsistAsync(() => system.MapReduce.StartAsync(request with { Id = "next" }, stop));
        Assert.Equal(MapReduceState.Completed, (await InsistAsync(() => system.MapReduce.WaitAsync(next.Id, stop)))!.State);
    }
}
