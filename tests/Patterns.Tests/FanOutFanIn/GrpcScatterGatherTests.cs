using DistributedPatterns.FanOutFanIn;

namespace DistributedPatterns.Tests.FanOutFanIn;

/// <summary>The contract over <see cref="GrpcScatterGather"/>: three workers on real sockets.</summary>
public sealed class GrpcScatterGatherTests : ScatterGatherConformance
{
    protected override int Samples => 100;

    protected override async ValueTask<ScatterGatherHost> CreateAsync(params BranchDefinition[] branches)
    {
        var cluster = await FanOutCluster.StartAsync(branches);
        return new ScatterGatherHost(cluster.Scatter, cluster.DisposeAsync);
    }
}
