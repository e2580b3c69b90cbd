using DistributedPatterns.Deadlines;
using DistributedPatterns.Diagnostics;
using DistributedPatterns.Tests.Guarantees;

namespace DistributedPatterns.Tests.Deadlines;

/// <summary>The contract over <see cref="GrpcBudgetedCalls"/>: a service of each role on real sockets.</summary>
[Guarantees("deadlines", Variants.Distributed, typeof(GrpcBudgetedCallsFaultTests))]
[Promises(Guarantee.Order, "answers in the order of the inputs", nameof(CallAll_WhenAllAnswer_KeepsTheOrderOfTheInputs))]
[Promises(Guarantee.Delivery, "once an attempt, and one attempt unless more are allowed; without an answer it may have run; late work is not begun",
    nameof(Call_AfterTheDeadline_IsNotBegun), nameof(Call_OfAnOperationThatFails_ThrowsItsReasonAndIsNotRepeated),
    nameof(Call_OfAnOperationThatIsUnavailable_IsRepeatedAsOftenAsAllowed), nameof(GrpcBudgetedCallsFaultTests.Call_WhenTheCalleeDies_IsUnavailableAndRepeatedAtAnother))]
[Promises(Guarantee.ProcessDeath, "its callers hear, and go to another one if they may", nameof(GrpcBudgetedCallsFaultTests.Call_WhenTheCalleeDies_IsUnavailableAndRepeatedAtAnother))]
[Promises(Guarantee.StaleHolder, "work that ignores its end is left behind and counted, not stopped",
    nameof(Call_OfAnOperationThatIgnoresItsToken_ReturnsAtTheDeadlineAndCountsWhatRunsOn))]
[Promises(Guarantee.Full, "a call beyond its callee's `MaxRunning` is refused", nameof(GrpcBudgetedCallsFaultTests.Call_WhenAsManyRunThereAsMay_IsUnavailable))]
public sealed class GrpcBudgetedCallsTests : BudgetedCallsConformance
{
    private protected override CancellationReason SiblingAsSeen => CancellationReason.Caller;

    private protected override async ValueTask<BudgetedCallsHost> CreateAsync(TestOperations operations)
    {
        var cluster = await OperationsCluster.StartAsync(operations.All, TestOperations.First, TestOperations.Second);
        return new BudgetedCallsHost(cluster.Calls, cluster.DisposeAsync, processes: 2);
    }
}
