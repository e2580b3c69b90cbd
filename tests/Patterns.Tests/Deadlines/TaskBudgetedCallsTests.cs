using DistributedPatterns.Deadlines;
using DistributedPatterns.Diagnostics;
using DistributedPatterns.Tests.Guarantees;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;

namespace DistributedPatterns.Tests.Deadlines;

/// <summary>The contract over <see cref="TaskBudgetedCalls"/>.</summary>
[Guarantees("deadlines", Variants.Channel)]
[Promises(Guarantee.Order, "answers in the order of the inputs", nameof(CallAll_WhenAllAnswer_KeepsTheOrderOfTheInputs))]
[Promises(Guarantee.Delivery, "once an attempt, and one attempt unless more are allowed; late work is not begun", nameof(Call_AfterTheDeadline_IsNotBegun),
    nameof(Call_OfAnOperationThatFails_ThrowsItsReasonAndIsNotRepeated), nameof(Call_OfAnOperationThatIsUnavailable_IsRepeatedAsOftenAsAllowed))]
[DoesNotPromise(Guarantee.ProcessDeath, "its calls are gone")]
[Promises(Guarantee.StaleHolder, "work that ignores its end is left behind and counted, not stopped",
    nameof(Call_OfAnOperationThatIgnoresItsToken_ReturnsAtTheDeadlineAndCountsWhatRunsOn))]
[Promises(Guarantee.Full, "a call beyond `MaxRunning` is refused", nameof(Call_WhenAsManyRunAsMay_IsUnavailable))]
public sealed class TaskBudgetedCallsTests : BudgetedCallsConformance
{
    private protected override CancellationReason SiblingAsSeen => CancellationReason.Sibling;

    private protected override ValueTask<BudgetedCallsHost> CreateAsync(TestOperations operations)
    {
        var options = Options.Create(new DeadlineOptions());
        var runner = new DeadlineRunner(options, TimeProvider.System, NullLogger<DeadlineRunner>.Instance);
        var calls = new TaskBudgetedCalls(new OperationCatalog(operations.All), runner, options);
        return new(new BudgetedCallsHost(calls, () =>
        {
            calls.Dispose();
            return runner.DisposeAsync();
        }));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Dispose_WhileOperationsRun_CancelsThemAsAShutdown()
    {
        var operations = new TestOperations();
        await using var host = await CreateAsync(operations);

        var call = host.Calls.CallAsync<int, int>("hold", 1, Ample, null, TestStop);
        ((IDisposable)host.Calls).Dispose();

        await Assert.ThrowsAsync<OperationUnavailableException>(() => call);
        Assert.Equal(CancellationReason.Shutdown, Assert.Single(operations.Cancelled).Reason);
        Assert.Equal(1, (await host.LedgerAsync()).Shutdown);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Call_WhenAsManyRunAsMay_IsUnavailable()
    {
        var operations = new TestOperations();
        var options = Options.Create(new DeadlineOptions { MaxRunning = 1 });
        await using var runner = new DeadlineRunner(options, TimeProvider.System, NullLogger<DeadlineRunner>.Instance);
        using var calls = new TaskBudgetedCalls(new OperationCatalog(operations.All), runner, options);

        var held = calls.CallAsync<int, int>("hold", 1, Ample, null, TestStop);
        var error = await Assert.ThrowsAsync<OperationUnavailableException>(() => calls.CallAsync<int, int>("double", 1, Ample, null, TestStop));
        operations.Gate.SetResult();

        Assert.Contains("1 of 1", error.Reason, StringComparison.Ordinal);
        Assert.Equal(1, await held);
        Assert.Equal(2, await calls.CallAsync<int, int>("double", 1, Ample, null, TestStop));
        var ledger = Assert.Single(await calls.GetLedgersAsync(TestStop));
        Assert.Equal((3L, 1L, 2L, 0L), (ledger.Asked, ledger.Refused, ledger.Done, ledger.Failed));
    }
}
