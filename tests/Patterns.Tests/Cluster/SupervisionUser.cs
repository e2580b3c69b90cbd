using DistributedPatterns.Supervision;
using DistributedPatterns.Tests.Supervision;
using StackExchange.Redis;

namespace DistributedPatterns.Tests.Cluster;

/// <summary>Supervised children: after the failover they run, a failure is followed by a start with a higher epoch, and what they keep is written.</summary>
internal sealed class SupervisionUser : ScriptUser
{
    public override IReadOnlyList<string> Scripts => ["Supervision/supervisor.lua"];

    public override async Task RunAsync(RedisCluster cluster, IConnectionMultiplexer redis, string tag, Func<Task> failOver)
    {
        var stop = TestContext.Current.CancellationToken;
        var child = new TestChild("child");
        await using var processes = await SupervisionCluster.StartAsync(cluster, 2, options => (options.KeyTag, options.MaxRestarts) = (tag, 1_000), child.Definition);
        var first = await child.NextAsync();

        await failOver();

        first.Crash();
        var (value, epoch) = ($"{Guid.NewGuid():N}", first.Context.Epoch);
        // A start may be over before it can write: its lease ended with the old master.
        await InsistAsync(async () =>
        {
            var next = await child.NextAsync();
            Assert.True(next.Context.Epoch > epoch);
            epoch = next.Context.Epoch;
            try
            {
                await next.Context.WriteAsync(value, next.Token);
                return true;
            }
            catch (Exception e) when (e is ChildFencedException or OperationCanceledException)
            {
                throw new TimeoutException("the start was over before it could write", e);
            }
        });
        await InsistAsync(async () =>
            (await processes.Supervisor.GetTreeAsync(stop)).Children.Single() is { State: ChildState.Running } now && now.Value == value ? true : throw new TimeoutException("the child does not run"));
    }
}
