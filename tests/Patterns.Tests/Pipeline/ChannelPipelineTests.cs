using DistributedPatterns.Diagnostics;
using DistributedPatterns.Pipeline;
using DistributedPatterns.Tests.Guarantees;
using DistributedPatterns.Tests.Support;
using Microsoft.Extensions.Options;

namespace DistributedPatterns.Tests.Pipeline;

/// <summary>The contract over <see cref="ChannelPipeline"/>, on a clock that stands still unless a test moves it.</summary>
[Guarantees("pipeline", Variants.Channel)]
[Promises(Guarantee.Order, "kept, unless a stage gives it up", nameof(Run_WithOrderedStages_KeepsTheOrderWhateverTheDegree))]
[Promises(Guarantee.Delivery, "an item counts once, and a stage sees it once an attempt",
    nameof(Run_OfNumbers_GivesTheSequentialResultInOrder), nameof(Run_AnItemFailsOnceAndMayBeTriedAgain_Succeeds))]
[DoesNotPromise(Guarantee.ProcessDeath, "its runs are gone")]
[DoesNotPromise(Guarantee.StaleHolder, "there is none")]
[Promises(Guarantee.Full, "the source waits; a run beyond `MaxRuns` is refused",
    nameof(Run_TheSinkIsBlocked_StopsTheSourceWithinTheBound), nameof(Start_AsManyRunsAsAllowedAreOpen_RefusesUntilOneHasEnded))]
public sealed partial class ChannelPipelineTests : PipelineConformance
{
    private readonly ManualTime _time = new();

    // Three channels of 4,096 items, and a chunk of 256 in each of the four hands.
    protected override long MostInFlight => (3 * 4096) + (4 * 256);

    protected override ValueTask<PipelineHost> CreateAsync(int maxRuns, params PipelineDefinition[] definitions)
    {
        var pipeline = NewPipeline(new ChannelPipelineOptions { MaxRuns = maxRuns }, definitions);
        return new(new PipelineHost(pipeline, pipeline.DisposeAsync));
    }

    private ChannelPipeline NewPipeline(ChannelPipelineOptions options, params PipelineDefinition[] definitions) =>
        new(new PipelineCatalog(definitions), Options.Create(options), _time);

    [Fact(Timeout = HangLimit)]
    public async Task Run_ALoneItem_ReachesTheSinkWhileTheSourceWaitsForTheNext()
    {
        var (gate, atSink) = (new Gate(), new Gate());
        atSink.Open();
        var numbers = new NumbersPipeline { Source = (_, token) => CountThenWait(1, gate, token), AtSink = _ => atSink.Pass() }.Define();
        await using var host = await CreateAsync(numbers);
        var run = await host.StartAsync(numbers, "1", TestStop);

        await atSink.Reached; // the gate in the source is shut: only the item itself can have brought this about
        gate.Open();

        Assert.Equal(PipelineState.Completed, (await run.WaitAsync(TestStop)).State);
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(1, true)]
    [InlineData(3, true)]
    [InlineData(3, false)]
    public async Task Run_AnItemBehindWhichAnAsyncStageWaits_ReachesTheSinkBeforeIt(int degree, bool ordered)
    {
        var (gate, atSink) = (new Gate(), new Gate());
        atSink.Open();
        var numbers = new NumbersPipeline
        {
            AddOne = async (x, token) =>
            {
                if (x == 3 * 150) await gate.PassAsync(token);
                return x + 1;
            },
            AddOneOptions = options => (options.Degree, options.Ordered) = (degree, ordered),
            AtSink = x => { if (x == (3 * 149) + 1) atSink.Pass(); },
        }.Define();
        await using var host = await CreateAsync(numbers);
        var run = await host.StartAsync(numbers, "200", TestStop);

        await atSink.Reached;
        gate.Open();

        Assert.Equal(PipelineState.Completed, (await run.WaitAsync(TestStop)).State);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Run_EveryCapacityIsOne_HoldsOneItemAPlace()
    {
        var gate = new Gate();
        var read = 0;
        var tight = new NumbersPipeline
        {
            Source = (_, _) => Reading(500),
            TripleOptions = options => options.Capacity = 1,
            AddOne = async (x, token) =>
            {
                await gate.PassAsync(token);
                return x + 1;
            },
            AddOneOptions = options => options.Capacity = 1,
        }.Define();
        await using var host = await CreateAsync(tight);
        var run = await host.StartAsync(tight, "500", TestStop);
        await gate.Reached;

        await Eventually.TrueAsync(() => Volatile.Read(ref read) >= 5, TimeSpan.FromSeconds(20), () => $"{read} read");
        await UntilSettledAsync(() => Volatile.Read(ref read));
        var taken = Volatile.Read(ref read);
        gate.Open();

        Assert.Equal(5, taken); // one in each hand of source, "triple" and "add one", one in each channel between them
        Assert.Equal(NumbersPipeline.Expected(500), await tight.ResultOfAsync(run, TestStop));

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

    [Theory(Timeout = HangLimit)]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Run_DegreeAboveOne_HandlesAsManyItemsAtTheSameTime(bool ordered)
    {
        var inside = 0;
        var allInside = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var numbers = new NumbersPipeline
        {
            AddOne = async (x, token) =>
            {
                if (Interlocked.Increment(ref inside) == 4) allInside.SetResult();
                await allInside.Task.WaitAsync(token); // nobody leaves before four are here
                return x + 1;
            },
            AddOneOptions = options => (options.Degree, options.Ordered) = (4, ordered),
        }.Define();
        await using var host = await CreateAsync(numbers);

        var status = await host.RunAsync(numbers, "40", TestStop);

        Assert.Equal(PipelineState.Completed, status.State);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Run_ASlowItemInAnUnorderedStage_HoldsUpItsOwnLoopOnly()
    {
        var gate = new Gate();
        var others = 0;
        var othersDone = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var numbers = new NumbersPipeline
        {
            AddOne = async (x, token) =>
            {
                if (x == 3) await gate.PassAsync(token);
                return x + 1;
            },
            AddOneOptions = options => (options.Degree, options.Ordered) = (2, false),
            AtSink = x => { if (x != 4 && ++others == 999) othersDone.SetResult(); },
        }.Define();
        await using var host = await CreateAsync(numbers);
        var run = await host.StartAsync(numbers, "1000", TestStop);

        await othersDone.Task;
        gate.Open();

        Assert.Equal(1000, (await run.WaitAsync(TestStop)).Ledger.Done);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Run_TheFirstItemOfAnOrderedStageIsSlow_LetsABoundedNumberWaitBehindIt()
    {
        var gate = new Gate();
        var started = 0;
        var numbers = new NumbersPipeline
        {
            AddOne = async (x, token) =>
            {
                Interlocked.Increment(ref started);
                if (x == 3) await gate.PassAsync(token);
                return x + 1;
            },
            AddOneOptions = options => options.Degree = 4,
        }.Define();
        await using var host = await CreateAsync(numbers);
        var run = await host.StartAsync(numbers, "1000000", TestStop);
        await gate.Reached;

        await Eventually.TrueAsync(() => Volatile.Read(ref started) >= 4, TimeSpan.FromSeconds(20), () => $"{started} started");
        await UntilSettledAsync(() => Volatile.Read(ref started));
        var reordered = Volatile.Read(ref started);
        gate.Open();

        Assert.InRange(reordered, 4, ((2 * 4) + 2) * 256); // two places a loop, one at the emitter, one being taken, each a chunk at most
        Assert.Equal(NumbersPipeline.Expected(1_000_000), await numbers.ResultOfAsync(run, TestStop));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Run_ABatchHasItsCount_HandsItOnWithoutWaiting()
    {
        var gate = new Gate();
        var seen = new Gate();
        seen.Open();
        var batches = BatchesPipeline.Define(10, TimeSpan.FromHours(1), (_, token) => CountThenWait(25, gate, token), batch => { if (batch[0] == 11) seen.Pass(); });
        await using var host = await CreateAsync(batches);
        var run = await host.StartAsync(batches, "25", TestStop);

        await seen.Reached;
        gate.Open();

        Assert.Equal([10, 10, 5], (await batches.ResultOfAsync(run, TestStop)).Select(batch => batch.Length));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Run_ABatchIsNotFullInTime_HandsOnWhatItHas()
    {
        var (gate, seen) = (new Gate(), new Gate());
        seen.Open();
        var batches = BatchesPipeline.Define(10, TimeSpan.FromSeconds(5), (_, token) => CountThenWait(1, gate, token), _ => seen.Pass());
        await using var host = await CreateAsync(batches);
        var run = await host.StartAsync(batches, "1", TestStop);

        Assert.Equal(TimeSpan.FromSeconds(5), await _time.NextTimerAsync(TestStop));
        _time.Advance(TimeSpan.FromSeconds(4.9));
        Assert.False(seen.Reached.IsCompleted);
        _time.Advance(TimeSpan.FromSeconds(0.1));
        await seen.Reached;
        gate.Open();

        Assert.Equal([[1]], await batches.ResultOfAsync(run, TestStop));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Run_AnItemIsRetried_WaitsBetweenTheAttemptsAndLonger()
    {
        var attempts = 0;
        var numbers = new NumbersPipeline
        {
            Triple = x => ++attempts < 4 ? throw new IOException("again") : 3 * x,
            TripleOptions = options => (options.MaxAttempts, options.RetryDelay) = (4, TimeSpan.FromSeconds(1)),
        }.Define();
        await using var host = await CreateAsync(numbers);
        var run = await host.StartAsync(numbers, "1", TestStop);

        for (var attempt = 1; attempt <= 3; attempt++)
        {
            var delay = await _time.NextTimerAsync(TestStop);
            Assert.Equal(attempt, Volatile.Read(ref attempts));
            Assert.InRange(delay, TimeSpan.FromTicks(1), TimeSpan.FromSeconds(30));
            _time.Advance(delay);
        }

        var status = await run.WaitAsync(TestStop);
        Assert.Equal((PipelineState.Completed, 4, 3), (status.State, attempts, status.Stages[1].Retried));
    }
}
