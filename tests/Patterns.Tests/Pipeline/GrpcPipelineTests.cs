using DistributedPatterns.Pipeline;
using DistributedPatterns.Tests.Support;

namespace DistributedPatterns.Tests.Pipeline;

/// <summary>The contract over <see cref="GrpcPipeline"/>: a producer, three workers and two reducers on real sockets, and a real server.</summary>
public abstract class GrpcPipelineTests(SharedRedis shared, RedisKind kind) : PipelineConformance
{
    // The window of 32 messages, one in the source's hand and one on its way into the window.
    protected override long MostInFlight => (32 + 2) * 256;

    protected override async ValueTask<PipelineHost> CreateAsync(int maxRuns, params PipelineDefinition[] definitions)
    {
        var cluster = await GrpcPipelineCluster.StartAsync(await shared.OfAsync(kind), definitions, options => options.MaxRuns = maxRuns);
        return new PipelineHost(cluster.Pipeline, cluster.DisposeAsync);
    }
}

public sealed class GrpcPipelineOnGarnetTests(SharedRedis shared) : GrpcPipelineTests(shared, RedisKind.Garnet);

public sealed class GrpcPipelineOnRedisTests(SharedRedis shared) : GrpcPipelineTests(shared, RedisKind.Redis);
