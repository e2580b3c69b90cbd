using DistributedPatterns.FanOutFanIn;
using Microsoft.Extensions.Options;

namespace DistributedPatterns.Tests.FanOutFanIn;

/// <summary>The contract over <see cref="ChannelScatterGather"/>.</summary>
public sealed class ChannelScatterGatherTests : ScatterGatherConformance
{
    protected override int Samples => 400;

    protected override ValueTask<ScatterGatherHost> CreateAsync(params BranchDefinition[] branches)
    {
        var scatter = new ChannelScatterGather(new BranchCatalog(branches), Options.Create(new ChannelScatterGatherOptions()), TimeProvider.System);
        return new(new ScatterGatherHost(scatter, scatter.DisposeAsync));
    }
}
