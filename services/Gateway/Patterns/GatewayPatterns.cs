using DistributedPatterns.Gateway.Deadlines;
using DistributedPatterns.Gateway.EventLoop;
using DistributedPatterns.Gateway.FanOutFanIn;
using DistributedPatterns.Gateway.MapReduce;
using DistributedPatterns.Gateway.Pipelines;
using DistributedPatterns.Gateway.ProducerConsumer;
using DistributedPatterns.Gateway.PublishSubscribe;
using DistributedPatterns.Gateway.RateLimiting;
using DistributedPatterns.Gateway.ResourcePooling;
using DistributedPatterns.Gateway.SingleFlight;
using DistributedPatterns.Gateway.Supervision;
using DistributedPatterns.Gateway.WorkerPool;

namespace DistributedPatterns.Gateway.Patterns;

/// <summary>The patterns that this gateway serves, in the order of the catalog.</summary>
internal static class GatewayPatterns
{
    public static IReadOnlyList<GatewayPattern> All { get; } =
    [
        new PipelinePattern(),
        new ProducerConsumerPattern(),
        new WorkerPoolPattern(),
        new RateLimitingPattern(),
        new FanOutFanInPattern(),
        new DeadlinesPattern(),
        new SupervisionPattern(),
        new MapReducePattern(),
        new PublishSubscribePattern(),
        new SingleFlightPattern(),
        new EventLoopPattern(),
        new ResourcePoolingPattern(),
    ];
}
