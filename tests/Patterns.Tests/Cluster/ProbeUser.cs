using DistributedPatterns.Redis;
using StackExchange.Redis;

namespace DistributedPatterns.Tests.Cluster;

/// <summary>The probe at start: a cluster's nodes run scripts as one step, before and after a failover.</summary>
internal sealed class ProbeUser : ScriptUser
{
    public override IReadOnlyList<string> Scripts => ["Redis/probe_atomic.lua"];

    public override async Task RunAsync(RedisCluster cluster, IConnectionMultiplexer redis, string tag, Func<Task> failOver)
    {
        await InsistAsync(ProbeAsync); // its key may lie on a node that was just started again
        await failOver();
        await InsistAsync(ProbeAsync);

        // Its key is its own, so it may lie on any node.
        async Task<bool> ProbeAsync()
        {
            await AtomicityProbe.CheckAsync(redis);
            return true;
        }
    }
}
