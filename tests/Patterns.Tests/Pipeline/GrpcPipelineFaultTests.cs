using DistributedPatterns.Payloads;
using DistributedPatterns.Pipeline;
using DistributedPatterns.Tests.Support;

namespace DistributedPatterns.Tests.Pipeline;

/// <summary>What only <see cref="GrpcPipeline"/> promises: the same answer when processes die or freeze in the middle of a run.</summary>
public sealed class GrpcPipelineFaultTests(SharedRedis shared)
{
    private const int HangLimit = 60_000;
    private const int Count = 300_000;
    private const int HaltAt = 100_000; // far enough that every worker has had chunks, and most are still to come

    public enum Fault
    {
        Dies,

        /// <summary>Its lease runs out while it lives on: frozen, or cut off.</summary>
        IsExpired,
    }

    public static TheoryData<string, Fault, RedisKind> Faults => new MatrixTheoryData<string, Fault, RedisKind>(
        ["worker", "reducer", "producer"], [Fault.Dies, Fault.IsExpired], [RedisKind.Garnet, RedisKind.Redis]);

    private static CancellationToken TestStop => TestContext.Current.CancellationToken;

    [Theory(Timeout = HangLimit)]
    [MemberData(nameof(Faults))]
    public async Task Run_AProcessIsLostInMidRun_GivesTheSameResultInOrder(string role, Fault fault, RedisKind kind)
    {
        var (halted, numbers) = HaltingNumbers();
        await using var cluster = await GrpcPipelineCluster.StartAsync(await shared.OfAsync(kind), [numbers], producers: 2);
        var run = await cluster.Pipeline.StartAsync(new PipelineRequest("numbers", $"{Count}"), TestStop);
        await halted.Reached;

        var node = cluster.Any(role); // in use or not: the answer is the same
        if (fault == Fault.Dies)
        {
            var dying = cluster.KillAsync(node);
            halted.Open(); // a stage that holds its thread cannot be torn away within one process
            await dying;
        }
        else
        {
            cluster.Expire(node);
            halted.Open();
        }

        Assert.Equal(NumbersPipeline.Expected(Count), await numbers.ResultOfAsync(run, TestStop));
        var status = await run.WaitAsync(TestStop);
        Assert.Equal(PipelineState.Completed, status.State);
        Assert.Equal(new PipelineLedger { Read = Count, Done = Count }, status.Ledger);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Run_EveryReducerIsLost_WaitsForANewOneAndReadsTheInputAgain()
    {
        var (halted, numbers) = HaltingNumbers();
        await using var cluster = await GrpcPipelineCluster.StartAsync(await shared.OfAsync(RedisKind.Garnet), [numbers], reducers: 1);
        var run = await cluster.Pipeline.StartAsync(new PipelineRequest("numbers", $"{Count}"), TestStop);
        await halted.Reached;

        await cluster.KillAsync(cluster.Any("reducer"));
        halted.Open();
        await cluster.AddAsync("reducer");

        Assert.Equal(NumbersPipeline.Expected(Count), await numbers.ResultOfAsync(run, TestStop));
        Assert.InRange((await run.WaitAsync(TestStop)).Replays, 1, 10);
    }

    [Theory(Timeout = HangLimit)]
    [InlineData("reducer")]
    [InlineData("producer")]
    public async Task Run_DrainedAndThenAProcessIsLost_CoversWhatHadBeenRead(string role)
    {
        var drains = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var (halted, numbers) = HaltingNumbers((_, drain) =>
        {
            drain.Register(() => drains.TrySetResult());
            return Enumerable.Range(1, Count).ToAsyncEnumerable();
        });
        await using var cluster = await GrpcPipelineCluster.StartAsync(await shared.OfAsync(RedisKind.Garnet), [numbers], reducers: 1);
        var run = await cluster.Pipeline.StartAsync(new PipelineRequest("numbers", $"{Count}"), TestStop);
        await halted.Reached;
        await run.StopAsync(PipelineStop.Drain, TestStop);
        await drains.Task.WaitAsync(TestStop);
        await Eventually.TrueAsync(async () => (await run.GetStatusAsync(TestStop)).Ledger.Read >= HaltAt, TimeSpan.FromSeconds(20), () => "its driver has not told how far it is");

        var killing = cluster.KillAsync(cluster.Any(role));
        halted.Open();
        await killing;
        await cluster.AddAsync(role);

        var status = await run.WaitAsync(TestStop);
        Assert.Equal(PipelineState.Drained, status.State);
        Assert.InRange(status.Ledger.Read, HaltAt, Count);
        Assert.Equal(status.Ledger.Read, status.Ledger.Done);
        Assert.Equal(NumbersPipeline.Expected(status.Ledger.Read), await numbers.ResultOfAsync(run, TestStop));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Run_NobodyIsThereYet_WaitsForWorkersAndCompletes()
    {
        var numbers = new NumbersPipeline().Define();
        await using var cluster = await GrpcPipelineCluster.StartAsync(await shared.OfAsync(RedisKind.Garnet), [numbers], producers: 0, workers: 0);
        var run = await cluster.Pipeline.StartAsync(new PipelineRequest("numbers", "1000"), TestStop);
        Assert.Equal(PipelineState.Waiting, (await run.GetStatusAsync(TestStop)).State);

        await cluster.AddAsync("producer");
        await cluster.AddAsync("worker");

        Assert.Equal(NumbersPipeline.Expected(1000), await numbers.ResultOfAsync(run, TestStop));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Run_NoWorkerComesInTime_FailsAndSaysWhatIsMissing()
    {
        var numbers = new NumbersPipeline().Define();
        await using var cluster = await GrpcPipelineCluster.StartAsync(
            await shared.OfAsync(RedisKind.Garnet), [numbers], options => options.MemberWait = TimeSpan.FromSeconds(15), workers: 0);
        var run = await cluster.Pipeline.StartAsync(new PipelineRequest("numbers", "1000"), TestStop);

        var status = await run.WaitAsync(TestStop);

        Assert.Equal(PipelineState.Failed, status.State);
        Assert.Contains("No worker was alive", status.Error!.Message, StringComparison.Ordinal);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Run_RedisIsAwayInMidRun_GoesOnAndEndsOnceItIsBack()
    {
        await using var redis = await RedisBackend.StartAsync(RedisKind.Garnet);
        var (halted, numbers) = HaltingNumbers();
        await using var cluster = await GrpcPipelineCluster.StartAsync(redis, [numbers]);
        var run = await cluster.Pipeline.StartAsync(new PipelineRequest("numbers", $"{Count}"), TestStop);
        await halted.Reached;

        await redis.PauseAsync();
        halted.Open();
        await Task.Delay(TimeSpan.FromSeconds(4), TimeProvider.System, TestStop); // longer than the lease
        await redis.ResumeAsync();

        Assert.Equal(NumbersPipeline.Expected(Count), await numbers.ResultOfAsync(run, TestStop));
        Assert.Equal(new PipelineLedger { Read = Count, Done = Count }, (await run.WaitAsync(TestStop)).Ledger);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Stop_AbortBeforeAnyProducer_EndsAtOnce()
    {
        var numbers = new NumbersPipeline().Define();
        await using var cluster = await GrpcPipelineCluster.StartAsync(await shared.OfAsync(RedisKind.Garnet), [numbers], producers: 0);
        var run = await cluster.Pipeline.StartAsync(new PipelineRequest("numbers", "1000"), TestStop);

        await run.StopAsync(PipelineStop.Abort, TestStop);

        Assert.Equal(PipelineState.Aborted, (await run.WaitAsync(TestStop)).State);
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(60_000, 600, null)] // 256 of them would be 15 MB in one message
    [InlineData(3_000_000, 5, null)]
    [InlineData(17_000_000, 3, "blob 1: The item takes")]
    public async Task Run_OfLargeItems_SplitsMessagesAndNamesTheItemThatIsTooLarge(int bytes, int count, string? error)
    {
        var blobs = PipelineDefinition.Named("blobs")
            .From("blob", PayloadCodec.Bytes, _ => Enumerable.Range(0, count).Select(i => new byte[i == 0 ? bytes : bytes / 2]))
            .Then("measure", blob => blob.Length)
            .Into("sum", PayloadCodec.Packed<int>(), () => new long[1], (sum, length) => sum[0] += length, sum => (double)sum[0], TestJson.Default.Double);
        await using var cluster = await GrpcPipelineCluster.StartAsync(await shared.OfAsync(RedisKind.Garnet), [blobs]);

        var status = await (await cluster.Pipeline.StartAsync(new PipelineRequest("blobs", ""), TestStop)).WaitAsync(TestStop);

        if (error is null) Assert.Equal(bytes + ((count - 1L) * (bytes / 2)), status.Result!.Value.GetDouble());
        else Assert.StartsWith(error, $"{status.Error!.Stage} {status.Error.Number}: {status.Error.Message}", StringComparison.Ordinal);
    }

    /// <summary>Numbers whose last stage halts once, in one worker, until the test has done its worst.</summary>
    private static (Gate Halted, PipelineDefinition<Chain> Numbers) HaltingNumbers(Func<string, CancellationToken, IAsyncEnumerable<int>>? source = null)
    {
        var gate = new Gate();
        return (gate, new NumbersPipeline
        {
            Source = source,
            AddOne = async (x, token) =>
            {
                if (x == 3 * HaltAt) await gate.PassAsync(token);
                return x + 1;
            },
        }.Define());
    }
}
