using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using DistributedPatterns.Pipeline;

namespace DistributedPatterns.Tests.Pipeline;

public abstract partial class PipelineConformance
{
    [Theory(Timeout = HangLimit)]
    [InlineData(1)]
    [InlineData(300)]
    public async Task Run_AStageThrowsAndThePolicyIsStop_FailsWithStageNumberAndMessageAndStopsTheSource(int bad)
    {
        var numbers = new NumbersPipeline { Triple = x => x == bad ? throw new InvalidOperationException("not this one") : 3 * x }.Define();
        await using var host = await CreateAsync(numbers);

        var run = await host.StartAsync(numbers, $"{int.MaxValue - 1}", TestStop);
        var status = await run.WaitAsync(TestStop);

        Assert.Equal(PipelineState.Failed, status.State);
        Assert.Equal(new PipelineError("not this one", "triple", bad), status.Error);
        Assert.Null(status.Result);
        Assert.Equal(1, status.Ledger.Failed);
        Assert.InRange(status.Ledger.Read, bad, 100_000_000);
        AssertLedgerAddsUp(status);
        var error = await Assert.ThrowsAsync<PipelineStageException>(() => numbers.ResultOfAsync(run, TestStop));
        Assert.Equal(("triple", bad, "not this one"), (error.Stage, error.Number, error.Reason));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Run_AStageThrowsAndThePolicyIsSkip_LeavesTheItemsOutAndCountsThem()
    {
        var numbers = new NumbersPipeline
        {
            Triple = x => x % 10 == 0 ? throw new FormatException("round") : 3 * x,
            TripleOptions = options => options.OnError = ItemErrorPolicy.Skip,
        }.Define();
        await using var host = await CreateAsync(numbers);

        var run = await host.StartAsync(numbers, "2000", TestStop);

        Assert.Equal(NumbersPipeline.Expected(Enumerable.Range(1, 2000).Where(x => x % 10 != 0)), await numbers.ResultOfAsync(run, TestStop));
        var status = await run.WaitAsync(TestStop);
        Assert.Equal(new PipelineLedger { Read = 2000, Done = 1800, Skipped = 200 }, status.Ledger);
        Assert.Equal((2000, 1800, 200), (status.Stages[1].In, status.Stages[1].Out, status.Stages[1].Skipped));
        Assert.Empty(status.Diverted);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Run_StagesDivert_ListsNumberStageAndReasonOfEach()
    {
        var sales = new SalesPipeline
        {
            Line = i => i % 100 == 7 ? "no amount;x" : $"fig;{i}",
            ParseOptions = options => options.OnError = ItemErrorPolicy.Divert,
            Price = (sale, _) => sale.Amount == 550 ? throw new ArithmeticException("too dear") : new(sale),
            PriceOptions = options => (options.Degree, options.OnError) = (3, ItemErrorPolicy.Divert),
        };
        var definition = sales.Define();
        await using var host = await CreateAsync(definition);

        var status = await host.RunAsync(definition, "1000", TestStop);

        Assert.Equal(new PipelineLedger { Read = 1000, Done = 989, Diverted = 11 }, status.Ledger);
        Assert.Equal(
            [(7, "parse"), (107, "parse"), (207, "parse"), (307, "parse"), (407, "parse"), (507, "parse"), (550, "price"), (607, "parse"), (707, "parse"), (807, "parse"), (907, "parse")],
            status.Diverted.Select(item => ((int)item.Number, item.Stage)));
        Assert.Equal("too dear", status.Diverted.Single(item => item.Stage == "price").Reason);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Run_DivertsMoreThanAreListed_CountsAllAndListsTheFirstHundred()
    {
        var numbers = new NumbersPipeline
        {
            Triple = x => throw new FormatException($"bad {x}"),
            TripleOptions = options => options.OnError = ItemErrorPolicy.Divert,
        }.Define();
        await using var host = await CreateAsync(numbers);

        var status = await host.RunAsync(numbers, "700", TestStop);

        Assert.Equal(PipelineState.Completed, status.State);
        Assert.Equal(new PipelineLedger { Read = 700, Diverted = 700 }, status.Ledger);
        Assert.Equal(Enumerable.Range(1, PipelineStatus.MaxDivertedShown).Select(n => new DivertedItem(n, "triple", $"bad {n}")), status.Diverted);
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(ItemErrorPolicy.Stop)]
    [InlineData(ItemErrorPolicy.Skip)]
    public async Task Run_AnItemFailsOnceAndMayBeTriedAgain_Succeeds(ItemErrorPolicy policy)
    {
        var attempts = new ConcurrentDictionary<int, int>();
        var numbers = RetryingNumbers(attempts, policy, (x, attempt) => x % 50 == 0 && attempt == 1);
        await using var host = await CreateAsync(numbers);

        var run = await host.StartAsync(numbers, "500", TestStop);

        Assert.Equal(NumbersPipeline.Expected(500), await numbers.ResultOfAsync(run, TestStop));
        var status = await run.WaitAsync(TestStop);
        Assert.Equal(new PipelineLedger { Read = 500, Done = 500 }, status.Ledger);
        if (!SeesEachItemOnce) return;
        Assert.All(attempts, item => Assert.Equal(item.Key % 50 == 0 ? 2 : 1, item.Value));
        Assert.Equal(10, status.Stages[1].Retried);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Run_EveryAttemptFails_AppliesThePolicyAfterTheLast()
    {
        var attempts = new ConcurrentDictionary<int, int>();
        var numbers = RetryingNumbers(attempts, ItemErrorPolicy.Divert, (x, _) => x == 5);
        await using var host = await CreateAsync(numbers);

        var status = await host.RunAsync(numbers, "10", TestStop);

        Assert.Equal(new PipelineLedger { Read = 10, Done = 9, Diverted = 1 }, status.Ledger);
        Assert.Equal(new DivertedItem(5, "triple", "attempt 3"), Assert.Single(status.Diverted));
        Assert.True(attempts[5] == 3 || (!SeesEachItemOnce && attempts[5] > 3), $"{attempts[5]} attempts");
    }

    [Fact(Timeout = HangLimit)]
    public async Task Run_AStageThrowsOperationCanceledOfItsOwn_IsTheItemsErrorNotAShutdown()
    {
        var failing = new NumbersPipeline { Name = "failing", Triple = x => x == 4 ? throw new OperationCanceledException("own time-out") : 3 * x }.Define();
        var skipping = new NumbersPipeline
        {
            Name = "skipping",
            AddOne = (x, _) => x == 12 ? ValueTask.FromException<int>(new TaskCanceledException("own time-out")) : new(x + 1),
            AddOneOptions = options => options.OnError = ItemErrorPolicy.Skip,
        }.Define();
        await using var host = await CreateAsync(failing, skipping);

        var failed = await host.RunAsync(failing, "100", TestStop);
        var skipped = await host.RunAsync(skipping, "100", TestStop);

        Assert.Equal(PipelineState.Failed, failed.State);
        Assert.Equal(new PipelineError("own time-out", "triple", 4), failed.Error);
        AssertLedgerAddsUp(failed);
        Assert.Equal(PipelineState.Completed, skipped.State);
        Assert.Equal(new PipelineLedger { Read = 100, Done = 99, Skipped = 1 }, skipped.Ledger);
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(0)]
    [InlineData(4)]
    [InlineData(300)]
    public async Task Run_TheSourceThrows_FailsWithTheItemThatCouldNotBeRead(int readable)
    {
        var numbers = new NumbersPipeline { Source = (_, token) => BreakingAfter(readable, token) }.Define();
        await using var host = await CreateAsync(numbers);

        var status = await host.RunAsync(numbers, "1000", TestStop);

        Assert.Equal(PipelineState.Failed, status.State);
        Assert.Equal(new PipelineError("disk gone", "count", readable + 1), status.Error);
        Assert.Equal((readable, 0), (status.Ledger.Read, status.Ledger.Failed)); // it failed to be read, so it is no item read
        AssertLedgerAddsUp(status);
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(1)]
    [InlineData(999)]
    public async Task Run_TheSinkThrows_FailsWithTheItem(int bad)
    {
        var numbers = new NumbersPipeline { AtSink = x => { if (x == (3 * bad) + 1) throw new IOException("full"); } }.Define();
        await using var host = await CreateAsync(numbers);

        var status = await host.RunAsync(numbers, "2000", TestStop);

        Assert.Equal(PipelineState.Failed, status.State);
        Assert.Equal(new PipelineError("full", "chain", bad), status.Error);
        Assert.Equal(1, status.Ledger.Failed);
        AssertLedgerAddsUp(status);
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Run_TheResultCannotBeMade_Fails(bool finishThrows)
    {
        var broken = PipelineDefinition.Named("broken")
            .From("count", Payloads.PayloadCodec.Packed<int>(), _ => Enumerable.Range(1, 3))
            .Into("sink", Payloads.PayloadCodec.Packed<int>(), () => new object(), (_, _) => { },
                _ => finishThrows ? throw new InvalidOperationException("no result") : double.NaN, TestJson.Default.Double); // JSON has no NaN
        await using var host = await CreateAsync(broken);

        var status = await host.RunAsync(broken, "", TestStop);

        Assert.Equal(PipelineState.Failed, status.State);
        Assert.NotNull(status.Error);
        AssertLedgerAddsUp(status);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Run_OneStageRemovesSomeAndTheNextOneAllOfAPart_CountsEachOnce()
    {
        var numbers = new NumbersPipeline
        {
            Triple = static x => x % 2 == 1 ? throw new IOException("odd") : 3 * x,
            TripleOptions = static options => options.OnError = ItemErrorPolicy.Skip,
            // Several loops share a chunk in parts; of the first part nothing is left here.
            AddOne = static (x, _) => x <= 3 * 8 ? throw new IOException("low") : new(x + 1),
            AddOneOptions = static options => (options.Degree, options.OnError) = (4, ItemErrorPolicy.Divert),
        }.Define();
        await using var host = await CreateAsync(numbers);

        var status = await host.RunAsync(numbers, "40", TestStop);

        Assert.Equal(PipelineState.Completed, status.State);
        Assert.Equal(new PipelineLedger { Read = 40, Done = 16, Skipped = 20, Diverted = 4 }, status.Ledger);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Run_AParallelOrderedStageFails_EndsAndNamesAnItemThatFailed()
    {
        var numbers = new NumbersPipeline
        {
            AddOne = async (x, token) =>
            {
                await Task.Yield();
                return x % 300 == 0 ? throw new InvalidOperationException("no") : x + 1;
            },
            AddOneOptions = options => options.Degree = 4,
        }.Define();
        await using var host = await CreateAsync(numbers);

        var status = await host.RunAsync(numbers, "100000", TestStop);

        Assert.Equal((PipelineState.Failed, "add one"), (status.State, status.Error!.Stage));
        Assert.Equal(0, status.Error.Number % 100);
        AssertLedgerAddsUp(status);
    }

    private static PipelineDefinition<Chain> RetryingNumbers(
        ConcurrentDictionary<int, int> attempts, ItemErrorPolicy policy, Func<int, int, bool> fails) => new NumbersPipeline
        {
            Triple = x =>
            {
                var attempt = attempts.AddOrUpdate(x, 1, (_, before) => before + 1);
                return fails(x, attempt) ? throw new IOException($"attempt {attempt}") : 3 * x;
            },
            TripleOptions = options => (options.MaxAttempts, options.RetryDelay, options.OnError) = (3, TimeSpan.Zero, policy),
        }.Define();

    private static async IAsyncEnumerable<int> BreakingAfter(int count, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await Task.Yield();
        for (var i = 1; i <= count; i++) yield return i;
        cancellationToken.ThrowIfCancellationRequested();
        throw new IOException("disk gone");
    }
}
