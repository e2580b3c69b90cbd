using DistributedPatterns.Tests.Support;
using DistributedPatterns.WorkerPool;

namespace DistributedPatterns.Tests.WorkerPool;

/// <summary>The contract over <see cref="RedisWorkerPool"/>: a submitter and three hosts with workers, on a real server.</summary>
public abstract class RedisWorkerPoolTests(SharedRedis shared, RedisKind kind) : WorkerPoolConformance
{
    protected override bool KeepsWhatIsHandedBack => true;

    protected override int Processes => 3;

    protected override async ValueTask<WorkerPoolHost> CreateAsync(Action<WorkerPoolOptions>? configure, params JobDefinition[] definitions)
    {
        var cluster = await RedisPoolCluster.StartAsync(await shared.OfAsync(kind), Processes, configure, definitions);
        return new WorkerPoolHost(cluster.Pool, cluster.DisposeAsync);
    }
}

public sealed class RedisWorkerPoolOnGarnetTests(SharedRedis shared) : RedisWorkerPoolTests(shared, RedisKind.Garnet);

public sealed class RedisWorkerPoolOnRedisTests(SharedRedis shared) : RedisWorkerPoolTests(shared, RedisKind.Redis);
