using DistributedPatterns.Pipeline;

namespace DistributedPatterns.Tests.Pipeline;

/// <summary>What every variant of <see cref="IPipeline"/> keeps. A variant's class says how to make one and what it does not promise.</summary>
public abstract partial class PipelineConformance
{
    /// <summary>Far above what any test takes: a limit for hangs, in milliseconds.</summary>
    protected const int HangLimit = 60_000;

    /// <summary>Gets whether a stage sees each item once when nothing dies. Otherwise attempts are counted at least.</summary>
    protected virtual bool SeesEachItemOnce => true;

    /// <summary>Gets how many items of <see cref="NumbersPipeline"/> with default capacities may be between source and sink.</summary>
    protected abstract long MostInFlight { get; }

    protected static CancellationToken TestStop => TestContext.Current.CancellationToken;

    /// <summary>Makes the variant under test with these definitions registered in every process that it uses.</summary>
    /// <param name="maxRuns">How many runs may be open at the same time.</param>
    /// <param name="definitions">Their hooks are closures, so hosts must be in this process.</param>
    protected abstract ValueTask<PipelineHost> CreateAsync(int maxRuns, params PipelineDefinition[] definitions);

    protected ValueTask<PipelineHost> CreateAsync(params PipelineDefinition[] definitions) => CreateAsync(64, definitions);

    protected static void AssertLedgerAddsUp(PipelineStatus status)
    {
        var ledger = status.Ledger;
        Assert.True(status.HasEnded, $"The run has not ended: {status.State}");
        Assert.Equal(0, ledger.InFlight);
        Assert.Equal(ledger.Read, ledger.Done + ledger.Skipped + ledger.Diverted + ledger.Failed + ledger.Dropped);
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(255)]
    [InlineData(257)]
    [InlineData(50_000)]
    public async Task Run_OfNumbers_GivesTheSequentialResultInOrder(int count)
    {
        var numbers = new NumbersPipeline().Define();
        await using var host = await CreateAsync(numbers);

        var run = await host.StartAsync(numbers, $"{count}", TestStop);

        Assert.Equal(NumbersPipeline.Expected(count), await numbers.ResultOfAsync(run, TestStop));
        var status = await run.WaitAsync(TestStop);
        Assert.Equal(PipelineState.Completed, status.State);
        Assert.Null(status.Error);
        Assert.Equal(new PipelineLedger { Read = count, Done = count }, status.Ledger);
        Assert.Equal(("numbers", $"{count}", run.Id), (status.Pipeline, status.Input, status.Id));
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(20_000)]
    public async Task Run_OfSalesThroughAnUnorderedStage_GivesTheSameTotals(int count)
    {
        var sales = new SalesPipeline();
        var definition = sales.Define();
        await using var host = await CreateAsync(definition);

        var run = await host.StartAsync(definition, $"{count}", TestStop);

        Assert.Equal(sales.Expected(count), await definition.ResultOfAsync(run, TestStop));
        Assert.Equal(new PipelineLedger { Read = count, Done = count }, (await run.WaitAsync(TestStop)).Ledger);
        Assert.False(definition.KeepsOrder);
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(1, 4096)]
    [InlineData(4, 4096)]
    [InlineData(7, 3)]
    public async Task Run_WithOrderedStages_KeepsTheOrderWhateverTheDegree(int degree, int capacity)
    {
        var numbers = new NumbersPipeline
        {
            TripleOptions = options => (options.Degree, options.Capacity) = (degree, capacity),
            AddOneOptions = options => (options.Degree, options.Capacity) = (degree, capacity),
            AddOne = async (x, _) =>
            {
                if (x % 7 == 0) await Task.Yield(); // some items take longer than those behind them
                return x + 1;
            },
        }.Define();
        await using var host = await CreateAsync(numbers);

        var run = await host.StartAsync(numbers, "5000", TestStop);

        Assert.Equal(NumbersPipeline.Expected(5000), await numbers.ResultOfAsync(run, TestStop));
        Assert.True(numbers.KeepsOrder);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Run_ThroughABatch_HandsOnEveryItemInOrderInBatchesWithinTheCount()
    {
        var batches = BatchesPipeline.Define(10, TimeSpan.FromHours(1));
        await using var host = await CreateAsync(batches);

        var run = await host.StartAsync(batches, "1234", TestStop);

        var result = await batches.ResultOfAsync(run, TestStop);
        Assert.Equal(Enumerable.Range(1, 1234), result.SelectMany(batch => batch));
        Assert.All(result, batch => Assert.InRange(batch.Length, 1, 10));
        Assert.Equal(new PipelineLedger { Read = 1234, Done = 1234 }, (await run.WaitAsync(TestStop)).Ledger);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Run_ManyAtOnce_DoNotMix()
    {
        var numbers = new NumbersPipeline { AddOneOptions = options => options.Degree = 2 }.Define();
        var sales = new SalesPipeline();
        var salesDefinition = sales.Define();
        await using var host = await CreateAsync(numbers, salesDefinition);

        await Task.WhenAll(Enumerable.Range(1, 12).Select(async i =>
        {
            var run = await host.StartAsync(numbers, $"{i * 100}", TestStop);
            var other = await host.StartAsync(salesDefinition, $"{i * 50}", TestStop);
            Assert.Equal(NumbersPipeline.Expected(i * 100), await numbers.ResultOfAsync(run, TestStop));
            Assert.Equal(sales.Expected(i * 50), await salesDefinition.ResultOfAsync(other, TestStop));
        }));
    }

    [Fact(Timeout = HangLimit)]
    public async Task GetStatus_WhileRunning_NamesTheStagesInOrderAndCountsWhatIsOnItsWay()
    {
        var gate = new Gate();
        var numbers = new NumbersPipeline
        {
            AddOne = async (x, token) =>
            {
                await gate.PassAsync(token);
                return x + 1;
            },
        }.Define();
        await using var host = await CreateAsync(numbers);
        var run = await host.StartAsync(numbers, "3000", TestStop);
        await gate.Reached;

        var running = await run.GetStatusAsync(TestStop);
        gate.Open();
        var ended = await run.WaitAsync(TestStop);

        Assert.Equal(PipelineState.Running, running.State);
        Assert.False(running.HasEnded);
        Assert.Null(running.Result);
        Assert.InRange(running.Ledger.InFlight, 0, 3000);
        Assert.Equal(0, running.Ledger.Done);
        Assert.Equal(["count", "triple", "add one", "chain"], running.Stages.Select(stage => stage.Name));
        Assert.Equal(["count", "triple", "add one", "chain"], ended.Stages.Select(stage => stage.Name));
        Assert.All(ended.Stages, stage => Assert.Equal(3000, stage.Out));
        Assert.Equal(ended.Result!.Value.GetRawText(), (await run.GetStatusAsync(TestStop)).Result!.Value.GetRawText());
    }

    /// <summary>Numbers gathered into arrays, listed as they arrive.</summary>
    private protected static class BatchesPipeline
    {
        public static PipelineDefinition<int[][]> Define(
            int count, TimeSpan maxWait, Func<string, CancellationToken, IAsyncEnumerable<int>>? source = null, Action<int[]>? atSink = null) =>
            PipelineDefinition.Named("batches")
                .From("count", Payloads.PayloadCodec.Packed<int>(), source ?? ((input, _) => Enumerable.Range(1, int.Parse(input)).ToAsyncEnumerable()))
                .Then("same", x => x)
                .Batch("batch", count, maxWait)
                .Into("list", Payloads.PayloadCodec.Json(TestJson.Default.Int32Array), () => new List<int[]>(), (list, batch) =>
                {
                    atSink?.Invoke(batch);
                    list.Add(batch);
                }, list => list.ToArray(), TestJson.Default.Int32ArrayArray);
    }
}
