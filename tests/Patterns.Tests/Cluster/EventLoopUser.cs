using DistributedPatterns.EventLoop;
using DistributedPatterns.Tests.EventLoop;
using StackExchange.Redis;

namespace DistributedPatterns.Tests.Cluster;

/// <summary>An event loop whose partitions lie on all nodes: after the failover every event counts once and in order, and every partition has an owner.</summary>
internal sealed class EventLoopUser : ScriptUser
{
    private const int Posts = 200;
    private const int Keys = 10;

    public override IReadOnlyList<string> Scripts => ["EventLoop/partition_log.lua", "EventLoop/partitions.lua"];

    public override async Task RunAsync(RedisCluster cluster, IConnectionMultiplexer redis, string tag, Func<Task> failOver)
    {
        var stop = TestContext.Current.CancellationToken;
        var handlers = new TestHandlers();
        await using var processes = await LoopCluster.StartAsync(cluster, 2, handlers.All, options => (options.KeyTag, options.Partitions) = (tag, 8));
        for (var i = 0; i < Posts / 2; i++) await PostAsync(i);

        await failOver();

        // The last writes may be lost with the old master; posting under the same ids again closes that gap and adds nothing else.
        for (var i = 0; i < Posts; i++) await PostAsync(i);
        await InsistAsync(async () => (await processes.Loop.GetStatusAsync(stop)) is var status && status.Ledger.Waiting == 0 && status.Partitions.All(one => one.Owner is not null)
            ? status : throw new TimeoutException($"{status.Ledger}"));
        for (var key = 0; key < Keys; key++)
        {
            var state = await InsistAsync(async () => await processes.Loop.ReadAsync($"key-{key}", stop));
            Assert.True(handlers.Add.StateOf(state) is { Count: Posts / Keys, IsInOrder: true }, $"key-{key} is {state?.State}");
        }

        Task PostAsync(int i) => InsistAsync(() => processes.Loop.PostAsync(new PostRequest($"key-{i % Keys}", handlers.Add.With(new Number(i))) { Id = $"post-{i}" }, stop).AsTask());
    }
}
