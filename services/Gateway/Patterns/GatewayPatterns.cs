using DistributedPatterns.Gateway.FanOutFanIn;
using DistributedPatterns.Gateway.Pipelines;

namespace DistributedPatterns.Gateway.Patterns;

/// <summary>The patterns that this gateway serves, in the order of the catalog.</summary>
internal static class GatewayPatterns
{
    public static IReadOnlyList<GatewayPattern> All { get; } =
    [
        new PipelinePattern(),
        new FanOutFanInPattern(),
    ];
}
