using DistributedPatterns.Supervision;
using DistributedPatterns.Tests.Support;

namespace DistributedPatterns.Tests.Supervision;

/// <summary>The contract over <see cref="RedisLeaseSupervisor"/>, on a real server.</summary>
/// <remarks>
/// The lease is long: a test process that stops for seconds on a busy machine must not look dead. What happens when one does:
/// <see cref="RedisLeaseSupervisorFaultTests"/>.
/// </remarks>
public abstract class RedisLeaseSupervisorTests(SharedRedis shared, RedisKind kind, int processes) : SupervisorConformance
{
    protected override async ValueTask<SupervisorHost> CreateAsync(Action<SupervisionOptions>? configure, params ChildDefinition[] children)
    {
        var cluster = await SupervisionCluster.StartAsync(await shared.OfAsync(kind), processes, options =>
        {
            options.Lease = TimeSpan.FromMinutes(1);
            configure?.Invoke(options);
        }, children);
        return new SupervisorHost(cluster.Supervisor, cluster.StopRunnersAsync);
    }
}

public sealed class RedisLeaseSupervisorOnGarnetTests(SharedRedis shared) : RedisLeaseSupervisorTests(shared, RedisKind.Garnet, processes: 1);

public sealed class RedisLeaseSupervisorOnRedisTests(SharedRedis shared) : RedisLeaseSupervisorTests(shared, RedisKind.Redis, processes: 1);
