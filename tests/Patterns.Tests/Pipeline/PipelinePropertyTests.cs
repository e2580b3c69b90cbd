using CsCheck;
using DistributedPatterns.Payloads;
using DistributedPatterns.Pipeline;
using Microsoft.Extensions.Options;

namespace DistributedPatterns.Tests.Pipeline;

/// <summary>Random pipelines against the sequential program that they stand for.</summary>
public sealed class PipelinePropertyTests
{
    private sealed record StagePlan(bool IsAsync, int Degree, bool Ordered, int Capacity, int FailsAt, ItemErrorPolicy Policy, int Attempts, int FailingAttempts);

    private sealed record Plan(int Items, StagePlan[] Stages, int BatchSize, int SourceWaitsEach);

    private static readonly Gen<StagePlan> s_stage = Gen.Select(
        Gen.Bool, Gen.Int[1, 5], Gen.Bool, Gen.OneOf(1, 3, 17, 4096),
        Gen.Frequency((2, Gen.Const(0)), (1, Gen.Int[2, 40])), Gen.Enum<ItemErrorPolicy>(), Gen.Int[1, 3], Gen.Int[1, 4],
        (isAsync, degree, ordered, capacity, failsAt, policy, attempts, failing) => new StagePlan(isAsync, degree, ordered, capacity, failsAt, policy, attempts, failing));

    private static readonly Gen<Plan> s_plan = Gen.Select(
        Gen.OneOf(Gen.Int[0, 3], Gen.Int[0, 700]), s_stage.Array[0, 4], Gen.OneOf(0, 1, 7, 300), Gen.OneOf(0, 1, 50),
        (items, stages, batch, waits) => new Plan(items, stages, batch, waits));

    [Fact]
    public Task Run_OfAnyPipeline_GivesWhatTheSequentialProgramGives() => s_plan.SampleAsync(async plan =>
    {
        var expected = Model(plan);
        var definition = Define(plan);
        await using var pipeline = new ChannelPipeline(
            new PipelineCatalog([definition]), Options.Create(new ChannelPipelineOptions()), TimeProvider.System);
        var run = await pipeline.StartAsync(new PipelineRequest(definition.Name, ""), TestContext.Current.CancellationToken);

        var status = await run.WaitAsync(TestContext.Current.CancellationToken).WaitAsync(TimeSpan.FromSeconds(30), TimeProvider.System);

        var ledger = status.Ledger;
        Assert.Equal(ledger.Read, ledger.Done + ledger.Skipped + ledger.Diverted + ledger.Failed + ledger.Dropped);
        if (expected.Fails)
        {
            Assert.Equal((PipelineState.Failed, 1, null), (status.State, ledger.Failed, status.Result));
            return;
        }
        Assert.Equal(PipelineState.Completed, status.State);
        Assert.Equal((plan.Items, expected.Done.Count, expected.Skipped, expected.Diverted.Count, 0, 0),
            (ledger.Read, ledger.Done, ledger.Skipped, ledger.Diverted, ledger.Failed, ledger.Dropped));
        var result = await definition.ResultOfAsync(run, TestContext.Current.CancellationToken);
        var items = result.SelectMany(batch => batch);
        Assert.Equal(expected.Done, definition.KeepsOrder ? items : items.Order());
        Assert.All(result, batch => Assert.InRange(batch.Length, 1, Math.Max(1, plan.BatchSize)));
        Assert.Equal(Math.Min(100, expected.Diverted.Count), status.Diverted.Count);
        Assert.All(status.Diverted, item => Assert.Contains((item.Number, item.Stage), expected.Diverted));
    }, iter: 300, threads: 2);

    private static PipelineDefinition<int[][]> Define(Plan plan)
    {
        var builder = PipelineDefinition.Named("random").From("source", PayloadCodec.Packed<int>(), (_, _) => Read(plan));
        for (var i = 0; i < plan.Stages.Length; i++)
        {
            var stage = plan.Stages[i];
            var attempts = new System.Collections.Concurrent.ConcurrentDictionary<int, int>();
            int Transform(int x) => Fails(stage, x) && attempts.AddOrUpdate(x, 1, (_, n) => n + 1) <= stage.FailingAttempts ? throw new IOException($"{x}") : x + 10_000;
            void Configure(StageOptions options) => (options.Degree, options.Ordered, options.Capacity, options.OnError, options.MaxAttempts, options.RetryDelay) =
                (stage.Degree, stage.Ordered, stage.Capacity, stage.Policy, stage.Attempts, TimeSpan.Zero);
            builder = stage.IsAsync
                ? builder.ThenAsync($"stage {i}", async (x, _) =>
                {
                    if (x % 5 == 0) await Task.Yield();
                    return Transform(x);
                }, Configure)
                : builder.Then($"stage {i}", (Func<int, int>)Transform, Configure);
        }
        var arrays = plan.BatchSize == 0 ? builder.Then("alone", x => new[] { x }) : builder.Batch("batch", plan.BatchSize, TimeSpan.FromHours(1));
        return arrays.Into("list", PayloadCodec.Json(TestJson.Default.Int32Array), () => new List<int[]>(), (list, batch) => list.Add(batch),
            list => list.ToArray(), TestJson.Default.Int32ArrayArray);
    }

    private static async IAsyncEnumerable<int> Read(Plan plan)
    {
        for (var x = 1; x <= plan.Items; x++)
        {
            if (plan.SourceWaitsEach > 0 && x % plan.SourceWaitsEach == 0) await Task.Yield();
            yield return x;
        }
    }

    // A stage numbered from 0 sees item n as n + 10,000 × the stages before it, so the item can be told everywhere.
    private static bool Fails(StagePlan stage, int x) => stage.FailsAt > 0 && x % 10_000 % stage.FailsAt == 0;

    private static (bool Fails, List<int> Done, int Skipped, HashSet<(long Number, string Stage)> Diverted) Model(Plan plan)
    {
        var (done, skipped, diverted) = (new List<int>(), 0, new HashSet<(long, string)>());
        for (var n = 1; n <= plan.Items; n++)
        {
            var failing = Array.FindIndex(plan.Stages, stage => Fails(stage, n) && stage.FailingAttempts >= stage.Attempts);
            if (failing < 0) done.Add(n + (10_000 * plan.Stages.Length));
            else if (plan.Stages[failing].Policy == ItemErrorPolicy.Skip) skipped++;
            else if (plan.Stages[failing].Policy == ItemErrorPolicy.Divert) diverted.Add((n, $"stage {failing}"));
            else return (true, done, skipped, diverted);
        }
        return (false, done, skipped, diverted);
    }
}
