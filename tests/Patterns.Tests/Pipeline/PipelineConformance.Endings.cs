using System.Runtime.CompilerServices;
using DistributedPatterns.Pipeline;
using DistributedPatterns.Tests.Support;

namespace DistributedPatterns.Tests.Pipeline;

public abstract partial class PipelineConformance
{
    [Fact(Timeout = HangLimit)]
    public async Task Stop_DrainWhileTheSourceWaits_GivesTheResultOfExactlyWhatWasRead()
    {
        var gate = new Gate();
        var numbers = new NumbersPipeline { Source = (_, token) => CountThenWait(777, gate, token) }.Define();
        await using var host = await CreateAsync(numbers);
        var run = await host.StartAsync(numbers, "1000", TestStop);
        await gate.Reached;

        await run.StopAsync(PipelineStop.Drain, TestStop);

        Assert.Equal(NumbersPipeline.Expected(777), await numbers.ResultOfAsync(run, TestStop));
        var status = await run.WaitAsync(TestStop);
        Assert.Equal(PipelineState.Drained, status.State);
        Assert.Equal(new PipelineLedger { Read = 777, Done = 777 }, status.Ledger);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Stop_DrainWhileItemsKeepComing_GivesTheResultOfExactlyWhatWasRead()
    {
        var seen = new Gate();
        seen.Open();
        var numbers = new NumbersPipeline { AtSink = _ => seen.Pass() }.Define();
        await using var host = await CreateAsync(numbers);
        var run = await host.StartAsync(numbers, $"{int.MaxValue - 1}", TestStop);
        await seen.Reached;

        await run.StopAsync(PipelineStop.Drain, TestStop);

        var status = await run.WaitAsync(TestStop);
        Assert.Equal(PipelineState.Drained, status.State);
        Assert.InRange(status.Ledger.Read, 1, 500_000_000);
        Assert.Equal(NumbersPipeline.Expected(status.Ledger.Read), await numbers.ResultOfAsync(run, TestStop));
        Assert.Equal(new PipelineLedger { Read = status.Ledger.Read, Done = status.Ledger.Read }, status.Ledger);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Stop_AbortWhileItemsKeepComing_EndsWithoutAResult()
    {
        var seen = new Gate();
        seen.Open();
        var numbers = new NumbersPipeline { AtSink = _ => seen.Pass(), AddOneOptions = options => options.Degree = 2 }.Define();
        await using var host = await CreateAsync(numbers);
        var run = await host.StartAsync(numbers, $"{int.MaxValue - 1}", TestStop);
        await seen.Reached;

        await run.StopAsync(PipelineStop.Abort, TestStop);

        var status = await run.WaitAsync(TestStop);
        Assert.Equal((PipelineState.Aborted, null, null), (status.State, status.Error, status.Result));
        AssertLedgerAddsUp(status);
        await Assert.ThrowsAsync<PipelineRunException>(() => numbers.ResultOfAsync(run, TestStop));
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(1, true)]
    [InlineData(4, true)]
    [InlineData(4, false)]
    public async Task Stop_AbortWhileAStageWaits_CancelsItThroughItsToken(int degree, bool ordered)
    {
        var gate = new Gate();
        var numbers = new NumbersPipeline
        {
            AddOne = async (x, token) =>
            {
                await gate.PassAsync(token);
                return x + 1;
            },
            AddOneOptions = options => (options.Degree, options.Ordered) = (degree, ordered),
        }.Define();
        await using var host = await CreateAsync(numbers);
        var run = await host.StartAsync(numbers, "10000", TestStop);
        await gate.Reached;

        await run.StopAsync(PipelineStop.Abort, TestStop);

        var status = await run.WaitAsync(TestStop);
        Assert.Equal((PipelineState.Aborted, 0), (status.State, status.Ledger.Done));
        AssertLedgerAddsUp(status);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Stop_DrainThenAbort_Aborts()
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
        var run = await host.StartAsync(numbers, "10000", TestStop);
        await gate.Reached;

        await run.StopAsync(PipelineStop.Drain, TestStop);
        Assert.Equal(PipelineState.Draining, (await run.GetStatusAsync(TestStop)).State);
        await run.StopAsync(PipelineStop.Abort, TestStop);

        Assert.Equal(PipelineState.Aborted, (await run.WaitAsync(TestStop)).State);
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(PipelineStop.Abort)]
    [InlineData(PipelineStop.Drain)]
    public async Task Stop_AnEndedRun_StaysAsItIs(PipelineStop how)
    {
        var numbers = new NumbersPipeline().Define();
        await using var host = await CreateAsync(numbers);
        var run = await host.StartAsync(numbers, "10", TestStop);
        await run.WaitAsync(TestStop);

        await run.StopAsync(how, TestStop);

        Assert.Equal(PipelineState.Completed, (await run.GetStatusAsync(TestStop)).State);
        Assert.Equal(NumbersPipeline.Expected(10), await numbers.ResultOfAsync(run, TestStop));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Wait_ItsTokenIsCancelled_StopsTheWaitingOnlyAndCarriesThatToken()
    {
        var gate = new Gate();
        var numbers = new NumbersPipeline { Source = (_, token) => CountThenWait(3, gate, token) }.Define();
        await using var host = await CreateAsync(numbers);
        var run = await host.StartAsync(numbers, "3", TestStop);
        await gate.Reached;
        using var leave = CancellationTokenSource.CreateLinkedTokenSource(TestStop);

        var waiting = run.WaitAsync(leave.Token);
        await leave.CancelAsync();

        var error = await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
        Assert.Equal(leave.Token, error.CancellationToken);
        Assert.False((await run.GetStatusAsync(TestStop)).HasEnded);
        gate.Open();
        Assert.Equal(PipelineState.Completed, (await run.WaitAsync(TestStop)).State);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Start_ItsTokenIsCancelledAfterwards_TheRunGoesOn()
    {
        var gate = new Gate();
        var numbers = new NumbersPipeline { Source = (_, token) => CountThenWait(3, gate, token) }.Define();
        await using var host = await CreateAsync(numbers);
        using var leave = CancellationTokenSource.CreateLinkedTokenSource(TestStop);
        var run = await host.StartAsync(numbers, "3", leave.Token);
        await gate.Reached;

        await leave.CancelAsync();
        gate.Open();

        Assert.Equal(PipelineState.Completed, (await run.WaitAsync(TestStop)).State);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => host.StartAsync(numbers, "3", leave.Token));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Run_TheSinkIsBlocked_StopsTheSourceWithinTheBound()
    {
        var gate = new Gate();
        var read = 0;
        var numbers = new NumbersPipeline { Source = (_, _) => Counting(200_000), AtSink = _ => gate.Pass() }.Define();
        await using var host = await CreateAsync(numbers);
        var run = await host.StartAsync(numbers, "200000", TestStop);
        await gate.Reached;

        await UntilSettledAsync(() => Volatile.Read(ref read));
        PipelineStatus blocked = null!;
        await Eventually.TrueAsync(async () => (blocked = await run.GetStatusAsync(TestStop)).Ledger.Read > 0, TimeSpan.FromSeconds(20), () => "nothing counts as read");
        var taken = Volatile.Read(ref read);
        gate.Open();

        Assert.InRange(taken, 1, MostInFlight);
        Assert.Equal(0, blocked.Ledger.Done);
        Assert.InRange(blocked.Ledger.Read, 1, MostInFlight);
        Assert.Equal(NumbersPipeline.Expected(200_000), await numbers.ResultOfAsync(run, TestStop));

        async IAsyncEnumerable<int> Counting(int count)
        {
            for (var i = 1; i <= count; i++)
            {
                Volatile.Write(ref read, i);
                yield return i;
            }
            await Task.CompletedTask;
        }
    }

    /// <summary>Waits until a count stands still for a time, a fifth of a second unless given: what is blocked stays, and what runs away is caught.</summary>
    protected static async Task UntilSettledAsync(Func<int> count, TimeSpan? still = null)
    {
        var wanted = (still ?? TimeSpan.FromMilliseconds(200)) / TimeSpan.FromMilliseconds(10);
        for (int before = -1, looks = 0; looks < wanted;)
        {
            var now = count();
            looks = now == before ? looks + 1 : 0;
            before = now;
            await Task.Delay(TimeSpan.FromMilliseconds(10), TimeProvider.System, TestStop);
        }
    }

    private protected static async IAsyncEnumerable<int> CountThenWait(int count, Gate gate, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        for (var i = 1; i <= count; i++) yield return i;
        await gate.PassAsync(cancellationToken);
    }
}
