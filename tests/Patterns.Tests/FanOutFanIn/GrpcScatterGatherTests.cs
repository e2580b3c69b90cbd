using DistributedPatterns.Diagnostics;
using DistributedPatterns.FanOutFanIn;
using DistributedPatterns.Tests.Guarantees;

namespace DistributedPatterns.Tests.FanOutFanIn;

/// <summary>The contract over <see cref="GrpcScatterGather"/>: three workers on real sockets.</summary>
[Guarantees("fan-out-fan-in", Variants.Distributed, typeof(GrpcScatterGatherFaultTests))]
[Promises(Guarantee.Order, "as completed or as asked; a key's inputs one after the other, unless a worker freezes",
    nameof(GrpcScatterGatherFaultTests.Scatter_AWorkerIsLostInMidCall_GivesTheSameAnswers), nameof(Scatter_WithKeys_RunsEachKeyInOrderOneAtATime_AndKeysSideBySide))]
[Promises(Guarantee.Delivery, "an input is answered once, or named as missing; a branch may see it again",
    nameof(GrpcScatterGatherFaultTests.Scatter_AWorkerIsLostInMidCall_GivesTheSameAnswers), nameof(Scatter_PartialAtTheDeadline_GivesWhatIsThereAndNamesWhatIsMissing))]
[Promises(Guarantee.ProcessDeath, "a worker's inputs go to others, `MaxAttempts` times; with the one that asks its gatherings are gone",
    nameof(GrpcScatterGatherFaultTests.Scatter_AWorkerIsLostInMidCall_GivesTheSameAnswers),
    nameof(GrpcScatterGatherFaultTests.Scatter_AnItemWhoseWorkersAreAllLost_FailsAfterTheLastAttempt))]
[Promises(Guarantee.StaleHolder, "its answers do not count", nameof(GrpcScatterGatherFaultTests.Scatter_AWorkerIsLostInMidCall_GivesTheSameAnswers))]
[Promises(Guarantee.Full, "inputs are read no further ahead than `Capacity`; `Degree` of them run, over all workers",
    nameof(Scatter_OfASequence_ReadsNoFurtherAheadThanTheCapacity), nameof(Scatter_WhileRunning_NeverRunsMoreThanTheDegree_AndFollowsItsChange))]
public sealed class GrpcScatterGatherTests : ScatterGatherConformance
{
    protected override int Samples => 100;

    protected override async ValueTask<ScatterGatherHost> CreateAsync(params BranchDefinition[] branches)
    {
        var cluster = await FanOutCluster.StartAsync(branches);
        return new ScatterGatherHost(cluster.Scatter, cluster.DisposeAsync);
    }
}
