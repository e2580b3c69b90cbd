using DistributedPatterns.Deadlines;

namespace DistributedPatterns.Tests.Deadlines;

/// <summary>The contract over <see cref="GrpcBudgetedCalls"/>: a service of each role on real sockets.</summary>
public sealed class GrpcBudgetedCallsTests : BudgetedCallsConformance
{
    private protected override CancellationReason SiblingAsSeen => CancellationReason.Caller;

    private protected override async ValueTask<BudgetedCallsHost> CreateAsync(TestOperations operations)
    {
        var cluster = await OperationsCluster.StartAsync(operations.All, TestOperations.First, TestOperations.Second);
        return new BudgetedCallsHost(cluster.Calls, cluster.DisposeAsync);
    }
}
