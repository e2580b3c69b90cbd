using System.Runtime.CompilerServices;
using DistributedPatterns.Payloads;
using DistributedPatterns.Pipeline;
using DistributedPatterns.Tests.Support;

namespace DistributedPatterns.Tests.Pipeline;

public sealed partial class ChannelPipelineTests
{
    [Fact(Timeout = HangLimit)]
    public async Task Stages_OneIsSlow_ThoseBeforeItAreBlockedAndThoseAfterItStarved()
    {
        var gate = new Gate();
        var read = 0;
        var numbers = new NumbersPipeline
        {
            Source = (_, _) => Reading(20),
            TripleOptions = options => options.Capacity = 1,
            AddOne = async (x, token) =>
            {
                await gate.PassAsync(token);
                return x + 1;
            },
            AddOneOptions = options => options.Capacity = 1,
        }.Define();
        await using var host = await CreateAsync(numbers);
        var run = await host.StartAsync(numbers, "20", TestStop);
        await gate.Reached;
        await Eventually.TrueAsync(() => Volatile.Read(ref read) == 5, TimeSpan.FromSeconds(20), () => $"{read} read");
        await UntilSettledAsync(() => _time.Looks, TimeSpan.FromSeconds(1)); // everybody before the gate is blocked now, everybody after it waits

        _time.Advance(TimeSpan.FromSeconds(10));
        gate.Open();

        var stages = (await run.WaitAsync(TestStop)).Stages.ToDictionary(stage => stage.Name);
        var tenSeconds = TimeSpan.FromSeconds(10);
        Assert.Equal((tenSeconds, TimeSpan.Zero), (stages["add one"].Busy, stages["add one"].Blocked));
        Assert.Equal((tenSeconds, TimeSpan.Zero), (stages["triple"].Blocked, stages["triple"].Busy));
        Assert.Equal(tenSeconds, stages["count"].Blocked);
        Assert.Equal((tenSeconds, TimeSpan.Zero), (stages["chain"].Starved, stages["chain"].Busy));

        async IAsyncEnumerable<int> Reading(int count)
        {
            for (var i = 1; i <= count; i++)
            {
                Volatile.Write(ref read, i);
                yield return i;
            }
            await Task.CompletedTask;
        }
    }

    [Fact(Timeout = HangLimit)]
    public async Task Dispose_WithOpenRuns_AbortsThemAndWaitsUntilTheirCodeHasStopped()
    {
        var gate = new Gate();
        var inside = 0;
        var numbers = new NumbersPipeline
        {
            AddOne = async (x, token) =>
            {
                Interlocked.Increment(ref inside);
                try
                {
                    await gate.PassAsync(token);
                }
                finally
                {
                    Interlocked.Decrement(ref inside);
                }
                return x;
            },
            AddOneOptions = options => options.Degree = 3,
        }.Define();
        var pipeline = NewPipeline(new ChannelPipelineOptions(), numbers);
        var runs = await Task.WhenAll(Enumerable.Range(0, 5).Select(_ => pipeline.StartAsync(new PipelineRequest("numbers", "1000"), TestStop)));
        await gate.Reached;

        await pipeline.DisposeAsync();

        Assert.Equal(0, inside);
        Assert.All(runs, run => Assert.True(run.WaitAsync(TestStop).IsCompletedSuccessfully));
        foreach (var run in runs) Assert.Equal(PipelineState.Aborted, (await run.GetStatusAsync(TestStop)).State);
        await pipeline.DisposeAsync();
    }

    [Fact(Timeout = HangLimit)]
    public async Task Find_MoreRunsHaveEndedThanAreKept_ForgetsTheOldest()
    {
        var numbers = new NumbersPipeline().Define();
        await using var pipeline = NewPipeline(new ChannelPipelineOptions { KeepEnded = 2 }, numbers);
        var ids = new List<string>();
        for (var i = 0; i < 3; i++)
        {
            var run = await pipeline.StartAsync(new PipelineRequest("numbers", "1"), TestStop);
            await run.WaitAsync(TestStop);
            ids.Add(run.Id);
        }

        Assert.Null(await pipeline.FindAsync(ids[0], TestStop));
        Assert.NotNull(await pipeline.FindAsync(ids[1], TestStop));
        Assert.NotNull(await pipeline.FindAsync(ids[2], TestStop));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Start_AThousandRunsThatWereForgotten_LeaveNothingBehind()
    {
        var numbers = new NumbersPipeline { AddOneOptions = options => options.Degree = 2 }.Define();
        await using var pipeline = NewPipeline(new ChannelPipelineOptions { KeepEnded = 0 }, numbers);
        var runs = new List<WeakReference>();
        for (var i = 0; i < 1000; i++) runs.Add(await RunOnceAsync(pipeline, abort: i % 2 == 0));

        for (var tries = 0; tries < 20 && runs.Any(run => run.IsAlive); tries++)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
            await Task.Yield();
        }

        Assert.InRange(runs.Count(run => run.IsAlive), 0, 10); // the last ones may lie on a thread's stack still
    }

    [Fact(Timeout = HangLimit)]
    public async Task Stop_AbortWhileItIsBlockedAndTheSourceStillMoves_IsAnAbortNotAnError()
    {
        var (source, sink) = (new Gate(), new Gate());
        var numbers = new NumbersPipeline
        {
            Source = (_, token) => CountThenWait(3, source, token),
            TripleOptions = options => options.Capacity = 1,
            AddOneOptions = options => options.Capacity = 1,
            AddOne = async (x, token) =>
            {
                await sink.PassAsync(token);
                return x;
            },
        }.Define();
        await using var host = await CreateAsync(numbers);
        var run = await host.StartAsync(numbers, "3", TestStop);
        await Task.WhenAll(source.Reached, sink.Reached);

        await run.StopAsync(PipelineStop.Abort, TestStop);

        var status = await run.WaitAsync(TestStop);
        Assert.Equal((PipelineState.Aborted, null), (status.State, status.Error));
        AssertLedgerAddsUp(status);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Run_TheSeedThrows_FailsAndGivesItsPlaceBack()
    {
        var broken = PipelineDefinition.Named("broken")
            .From("count", PayloadCodec.Packed<int>(), _ => Enumerable.Range(1, 1_000_000))
            .Into("sink", PayloadCodec.Packed<int>(), object () => throw new InvalidOperationException("no seed"), (_, _) => { }, _ => 0.0, TestJson.Default.Double);
        await using var host = await CreateAsync(maxRuns: 1, broken);

        for (var i = 0; i < 3; i++)
        {
            var status = await host.RunAsync(broken, "", TestStop);
            Assert.Equal((PipelineState.Failed, "no seed"), (status.State, status.Error!.Message));
            AssertLedgerAddsUp(status);
        }
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Run_ACancellationCallbackThrows_EndsAllTheSame(bool abort)
    {
        var gate = new Gate();
        var numbers = new NumbersPipeline
        {
            AddOne = async (x, token) =>
            {
                token.Register(() => throw new InvalidOperationException("in the callback"));
                await gate.PassAsync(token);
                throw new IOException("in the stage");
            },
        }.Define();
        await using var host = await CreateAsync(numbers);
        var run = await host.StartAsync(numbers, "10", TestStop);
        await gate.Reached;

        if (abort) await run.StopAsync(PipelineStop.Abort, TestStop);
        else gate.Open();

        Assert.Equal(abort ? PipelineState.Aborted : PipelineState.Failed, (await run.WaitAsync(TestStop)).State);
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(true, PipelineState.Drained)]
    [InlineData(false, PipelineState.Completed)]
    public async Task Stop_AbortWhileTheResultIsMade_DoesNotChangeWhatTheRunHasRead(bool drain, PipelineState expected)
    {
        var gate = new Gate();
        IPipelineRun? run = null;
        var late = PipelineDefinition.Named("late")
            .From("wait", PayloadCodec.Packed<int>(), (_, token) => CountThenWait(7, gate, token))
            .Into("count", PayloadCodec.Packed<int>(), () => new List<int>(), (list, x) => list.Add(x), Finish, TestJson.Default.Chain);
        await using var host = await CreateAsync(late);
        run = await host.StartAsync(late, "", TestStop);
        await gate.Reached;

        if (drain) await run.StopAsync(PipelineStop.Drain, TestStop);
        else gate.Open();

        var status = await run.WaitAsync(TestStop);
        Assert.Equal((expected, 7), (status.State, status.Ledger.Done));
        Assert.NotNull(status.Result);

        Chain Finish(List<int> list)
        {
            run!.StopAsync(PipelineStop.Abort, TestStop).AsTask().GetAwaiter().GetResult();
            return new Chain(list.Count, 0);
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static async Task<WeakReference> RunOnceAsync(ChannelPipeline pipeline, bool abort)
    {
        var run = await pipeline.StartAsync(new PipelineRequest("numbers", "100"), TestStop);
        if (abort) await run.StopAsync(PipelineStop.Abort, TestStop);
        await run.WaitAsync(TestStop);
        return new WeakReference(run);
    }
}
