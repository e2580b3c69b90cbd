using DistributedPatterns.Deadlines;
using DistributedPatterns.Tests.Support;

namespace DistributedPatterns.Tests.Deadlines;

/// <summary>What every variant of <see cref="IBudgetedCalls"/> keeps.</summary>
public abstract class BudgetedCallsConformance
{
    /// <summary>Far above what any test takes: a limit for hangs, in milliseconds.</summary>
    protected const int HangLimit = 60_000;

    private static readonly TimeSpan s_soon = TimeSpan.FromSeconds(20);

    protected static CancellationToken TestStop => TestContext.Current.CancellationToken;

    protected static Deadline Ample => Deadline.After(TimeSpan.FromSeconds(30), TimeProvider.System);

    /// <summary>Gets what a called operation is told when a sibling of its call failed.</summary>
    private protected abstract CancellationReason SiblingAsSeen { get; }

    /// <summary>Makes the variant under test, with these operations registered in every process that it uses.</summary>
    private protected abstract ValueTask<BudgetedCallsHost> CreateAsync(TestOperations operations);

    [Fact(Timeout = HangLimit)]
    public async Task Call_OfUnrelatedOperations_AnswersEach()
    {
        await using var host = await CreateAsync(new TestOperations());

        Assert.Equal(42, await host.Calls.CallAsync<int, int>("double", 21, Ample, null, TestStop));
        Assert.Equal("Hello, Ωmega", await host.Calls.CallAsync<string, string>("greet", "Ωmega", Deadline.None, null, TestStop));
        await AssertLedgerAsync(host, asked: 2, done: 2);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Call_AfterTheDeadline_IsNotBegun()
    {
        var operations = new TestOperations();
        await using var host = await CreateAsync(operations);

        var error = await Assert.ThrowsAsync<DeadlineExceededException>(
            () => host.Calls.CallAsync<int, int>("double", 1, Deadline.After(TimeSpan.Zero, TimeProvider.System), null, TestStop));

        Assert.False(error.Started);
        Assert.Empty(operations.Begun);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Call_WhoseDeadlinePasses_SaysSoOnBothSides()
    {
        var operations = new TestOperations();
        await using var host = await CreateAsync(operations);
        var budget = TimeSpan.FromSeconds(10);
        await host.Calls.CallAsync<string, string>("greet", "connected by now", Ample, null, TestStop);

        var error = await Assert.ThrowsAsync<DeadlineExceededException>(
            () => host.Calls.CallAsync<int, int>("hold", 1, Deadline.After(budget, TimeProvider.System), null, TestStop));

        Assert.Equal((budget, true), (error.Budget, error.Started));
        await Eventually.TrueAsync(() => !operations.Cancelled.IsEmpty, s_soon, () => "the operation was not cancelled");
        Assert.Equal(CancellationReason.Deadline, Assert.Single(operations.Cancelled).Reason);
        await AssertLedgerAsync(host, asked: 2, done: 1, deadline: 1);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Call_WhoseCallerLeaves_SaysSoOnBothSides()
    {
        var operations = new TestOperations();
        await using var host = await CreateAsync(operations);
        using var caller = new CancellationTokenSource();

        var call = host.Calls.CallAsync<int, int>("hold", 1, Ample, null, caller.Token);
        await Eventually.TrueAsync(() => !operations.Begun.IsEmpty, s_soon, () => "the operation did not begin");
        await caller.CancelAsync();

        var error = await Assert.ThrowsAnyAsync<OperationCanceledException>(() => call);
        Assert.Equal(caller.Token, error.CancellationToken);
        await Eventually.TrueAsync(() => !operations.Cancelled.IsEmpty, s_soon, () => "the operation was not cancelled");
        Assert.Equal(CancellationReason.Caller, Assert.Single(operations.Cancelled).Reason);
        await AssertLedgerAsync(host, asked: 1, caller: 1);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Call_ByACallerThatHasLeft_IsNotBegun()
    {
        var operations = new TestOperations();
        await using var host = await CreateAsync(operations);

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => host.Calls.CallAsync<int, int>("double", 1, Ample, null, new CancellationToken(canceled: true)));

        Assert.Empty(operations.Begun);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Call_OfAnOperationThatIgnoresItsToken_ReturnsAtTheDeadlineAndCountsWhatRunsOn()
    {
        var operations = new TestOperations();
        await using var host = await CreateAsync(operations);

        await host.Calls.CallAsync<string, string>("greet", "connected by now", Ample, null, TestStop);
        var error = await Assert.ThrowsAsync<DeadlineExceededException>(
            () => host.Calls.CallAsync<int, int>("deaf", 1, Deadline.After(TimeSpan.FromSeconds(10), TimeProvider.System), null, TestStop));

        Assert.True(error.Started);
        await Eventually.TrueAsync(async () => (await host.LedgerAsync()).LeftBehind == 1, s_soon, () => "nothing counts as left behind");
        operations.Gate.SetResult();
        await Eventually.TrueAsync(async () => (await host.LedgerAsync()).LeftBehind == 0, s_soon, () => "what has ended still counts as left behind");
        await AssertLedgerAsync(host, asked: 2, done: 1, deadline: 1);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Call_ByAnOperation_HasNoMoreTimeThanItsCaller()
    {
        var operations = new TestOperations();
        await using var host = await CreateAsync(operations);

        await host.Calls.CallAsync<string, int>("chain", "double:1", Ample, null, TestStop);

        var chain = operations.Begun.ToArray();
        Assert.Equal(["chain", "double"], chain.Select(begun => begun.Operation));
        Assert.True(chain[1].Remaining <= chain[0].Remaining, $"{chain[1].Remaining} of {chain[0].Remaining}");
    }

    [Fact(Timeout = HangLimit)]
    public async Task Call_ByAnOperationWhoseCallerLeaves_IsCancelledToo()
    {
        var operations = new TestOperations();
        await using var host = await CreateAsync(operations);
        using var caller = new CancellationTokenSource();

        var call = host.Calls.CallAsync<string, int>("chain", "hold:1", Ample, null, caller.Token);
        await Eventually.TrueAsync(() => operations.Begun.Count == 2, s_soon, () => "the last operation did not begin");
        await caller.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => call);
        await Eventually.TrueAsync(() => !operations.Cancelled.IsEmpty, s_soon, () => "the last operation was not cancelled");
        Assert.Equal(CancellationReason.Caller, Assert.Single(operations.Cancelled).Reason);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Call_OfAnOperationThatFails_ThrowsItsReasonAndIsNotRepeated()
    {
        var operations = new TestOperations();
        await using var host = await CreateAsync(operations);

        var error = await Assert.ThrowsAsync<OperationFailedException>(
            () => host.Calls.CallAsync<int, int>("fail", 7, Ample, new BudgetedCall { MaxAttempts = 5 }, TestStop));

        Assert.Equal(("fail", "7 is not to my taste."), (error.Operation, error.Reason));
        Assert.Single(operations.Begun);
        await AssertLedgerAsync(host, asked: 1, failed: 1);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Call_OfAnOperationThatIsUnavailable_IsRepeatedAsOftenAsAllowed()
    {
        var operations = new TestOperations();
        await using var host = await CreateAsync(operations);
        var call = new BudgetedCall { MaxAttempts = 3, RetryDelay = TimeSpan.FromMilliseconds(5) };

        Assert.Equal(3, await host.Calls.CallAsync<int, int>("flaky", 3, Ample, call, TestStop));
        var error = await Assert.ThrowsAsync<OperationUnavailableException>(() => host.Calls.CallAsync<int, int>("flaky", 4, Ample, call, TestStop));
        await Assert.ThrowsAsync<OperationUnavailableException>(() => host.Calls.CallAsync<int, int>("flaky", 2, Ample, null, TestStop));

        Assert.Equal(("flaky", "not before attempt 4"), (error.Operation, error.Reason));
        Assert.Equal([1, 2, 3, 1, 2, 3, 1], operations.Begun.Select(begun => begun.Attempt));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Call_ThatIsRepeated_SharesOneBudgetAndEndsInIt()
    {
        var operations = new TestOperations();
        await using var host = await CreateAsync(operations);
        var call = new BudgetedCall { MaxAttempts = 10, RetryDelay = TimeSpan.FromSeconds(10) };
        var deadline = Deadline.After(TimeSpan.FromSeconds(2), TimeProvider.System);

        // Ten delays of ten seconds do not fit, and are not waited for.
        await Assert.ThrowsAnyAsync<BudgetedCallException>(() => host.Calls.CallAsync<int, int>("flaky", 100, deadline, call, TestStop));

        var left = operations.Begun.Select(begun => begun.Remaining).ToArray();
        Assert.Equal(left.OrderDescending(), left);
        Assert.All(left.SkipLast(1), remaining => Assert.True(remaining > TimeSpan.Zero)); // the last one may have begun just in time and looked after it
    }

    [Fact(Timeout = HangLimit)]
    public async Task Call_ThatIsRepeated_TellsTheOperationsBehindWhichAttemptItIs()
    {
        var operations = new TestOperations();
        await using var host = await CreateAsync(operations);

        var call = new BudgetedCall { MaxAttempts = 5, RetryDelay = TimeSpan.FromMilliseconds(5) };
        Assert.Equal(3, await host.Calls.CallAsync<string, int>("chain", "flaky:3", Ample, call, TestStop));

        Assert.Equal([1, 1, 2, 2, 3, 3], operations.Begun.Select(begun => begun.Attempt));
    }

    [Fact(Timeout = HangLimit)]
    public async Task CallAll_WhenAllAnswer_KeepsTheOrderOfTheInputs()
    {
        await using var host = await CreateAsync(new TestOperations());

        var doubled = await host.Calls.CallAllAsync<int, int>("double", [1, 2, 3, 4], Ample, TestStop);

        Assert.Equal([2, 4, 6, 8], doubled);
    }

    [Fact(Timeout = HangLimit)]
    public async Task CallAll_WhenOneFails_CancelsTheOthersAndThrowsItsError()
    {
        var operations = new TestOperations();
        await using var host = await CreateAsync(operations);

        var error = await Assert.ThrowsAsync<OperationFailedException>(() => host.Calls.CallAllAsync<int, int>("hold-or-fail", [3, 2, 1, 0], Ample, TestStop));

        Assert.Equal("0 fails.", error.Reason);
        await Eventually.TrueAsync(async () => (await host.LedgerAsync()).Running == 0, s_soon, () => "siblings run on");
        Assert.All(operations.Cancelled, cancelled => Assert.Equal(SiblingAsSeen, cancelled.Reason));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Call_OfAnUnknownOperation_NamesThoseThereAre()
    {
        await using var host = await CreateAsync(new TestOperations());

        var unknown = await Assert.ThrowsAsync<UnknownOperationException>(() => host.Calls.CallAsync<int, int>("halve", 1, Ample, null, TestStop));
        var mistyped = await Assert.ThrowsAsync<UnknownOperationException>(() => host.Calls.CallAsync<string, int>("double", "1", Ample, null, TestStop));

        Assert.Contains("'halve'", unknown.Message, StringComparison.Ordinal);
        Assert.Contains("greet", unknown.Message, StringComparison.Ordinal);
        Assert.Contains("Int32 → Int32", mistyped.Message, StringComparison.Ordinal);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Call_ManyAtATimeThatEndInEveryWay_LeavesNothingBehindAndTheLedgerAddsUp()
    {
        var operations = new TestOperations();
        await using var host = await CreateAsync(operations);
        var random = new Random(20_260_801);
        var outcomes = await Task.WhenAll(Enumerable.Range(0, 400).Select(i => OutcomeAsync(host.Calls, random.Next(5), i)));

        Assert.DoesNotContain("other", outcomes);
        OperationLedger ledger = null!;
        await Eventually.TrueAsync(
            async () => (ledger = await host.LedgerAsync()) is { Running: 0, LeftBehind: 0 }
                && ledger.Asked == ledger.Refused + ledger.Done + ledger.Failed + ledger.Caller + ledger.Deadline + ledger.Shutdown + ledger.Sibling,
            s_soon, () => $"something runs on, or it does not add up: {ledger}");
        Assert.Equal(outcomes.Count(outcome => outcome == "done"), ledger.Done);
        Assert.Equal(outcomes.Count(outcome => outcome == "failed"), ledger.Failed);
    }

    private static async Task<string> OutcomeAsync(IBudgetedCalls calls, int kind, int number)
    {
        using var caller = new CancellationTokenSource();
        try
        {
            var call = kind switch
            {
                0 => calls.CallAsync<int, int>("double", number, Ample, null, caller.Token),
                1 => calls.CallAsync<int, int>("fail", number, Ample, null, caller.Token),
                2 => calls.CallAsync<int, int>("hold", number, Deadline.After(TimeSpan.FromMilliseconds(1 + number % 50), TimeProvider.System), null, caller.Token),
                _ => calls.CallAsync<int, int>("hold", number, Ample, null, caller.Token),
            };
            if (kind > 2)
            {
                await Task.Yield();
                await caller.CancelAsync();
            }
            return await call == number * 2 ? "done" : "other";
        }
        catch (Exception error)
        {
            return (kind, error) switch
            {
                (1, OperationFailedException) => "failed",
                (2, DeadlineExceededException) => "deadline",
                ( > 2, OperationCanceledException) => "caller",
                _ => "other",
            };
        }
    }

    private static async Task AssertLedgerAsync(
        BudgetedCallsHost host, long asked, long done = 0, long failed = 0, long caller = 0, long deadline = 0)
    {
        await Eventually.TrueAsync(async () => (await host.LedgerAsync()).Running == 0, s_soon, () => "something runs on");
        var ledger = await host.LedgerAsync();
        Assert.Equal((asked, done, failed, caller, deadline), (ledger.Asked, ledger.Done, ledger.Failed, ledger.Caller, ledger.Deadline));
    }
}

/// <summary>A variant under test.</summary>
internal sealed class BudgetedCallsHost(IBudgetedCalls calls, Func<ValueTask> dispose, int processes = 1) : IAsyncDisposable
{
    public IBudgetedCalls Calls => calls;

    /// <summary>Adds up the ledgers of all processes.</summary>
    public async Task<OperationLedger> LedgerAsync()
    {
        IReadOnlyList<OperationLedger> ledgers = [];
        // Who does not answer within a moment is left out.
        await Eventually.TrueAsync(async () => (ledgers = await calls.GetLedgersAsync(TestContext.Current.CancellationToken)).Count == processes,
            TimeSpan.FromSeconds(20), () => $"{ledgers.Count} of {processes} answer");
        return ledgers.Aggregate((a, b) => new(
            "all", a.Asked + b.Asked, a.Refused + b.Refused, a.Done + b.Done, a.Failed + b.Failed, a.Caller + b.Caller, a.Deadline + b.Deadline,
            a.Shutdown + b.Shutdown, a.Sibling + b.Sibling, a.Running + b.Running, a.LeftBehind + b.LeftBehind));
    }

    public ValueTask DisposeAsync() => dispose();
}
