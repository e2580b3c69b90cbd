using DistributedPatterns.Diagnostics;
using DistributedPatterns.FanOutFanIn;
using DistributedPatterns.Tests.Guarantees;
using Microsoft.Extensions.Options;

namespace DistributedPatterns.Tests.FanOutFanIn;

/// <summary>The contract over <see cref="ChannelScatterGather"/>.</summary>
[Guarantees("fan-out-fan-in", Variants.Channel)]
[Promises(Guarantee.Order, "as completed or as asked; a key's inputs one after the other",
    nameof(Scatter_InOrderWithUnevenItems_KeepsTheOrderWhateverTheDegree), nameof(Scatter_WithKeys_RunsEachKeyInOrderOneAtATime_AndKeysSideBySide))]
[Promises(Guarantee.Delivery, "an input is answered once, or named as missing",
    nameof(Scatter_OfAList_AnswersEachInputOnce), nameof(Scatter_PartialAtTheDeadline_GivesWhatIsThereAndNamesWhatIsMissing))]
[DoesNotPromise(Guarantee.ProcessDeath, "its gatherings are gone")]
[DoesNotPromise(Guarantee.StaleHolder, "there is none")]
[Promises(Guarantee.Full, "inputs are read no further ahead than `Capacity`; `Degree` of them run",
    nameof(Scatter_OfASequence_ReadsNoFurtherAheadThanTheCapacity), nameof(Scatter_WhileRunning_NeverRunsMoreThanTheDegree_AndFollowsItsChange))]
public sealed class ChannelScatterGatherTests : ScatterGatherConformance
{
    protected override int Samples => 400;

    protected override ValueTask<ScatterGatherHost> CreateAsync(params BranchDefinition[] branches)
    {
        var scatter = new ChannelScatterGather(new BranchCatalog(branches), Options.Create(new ChannelScatterGatherOptions()), TimeProvider.System);
        return new(new ScatterGatherHost(scatter, scatter.DisposeAsync));
    }
}
