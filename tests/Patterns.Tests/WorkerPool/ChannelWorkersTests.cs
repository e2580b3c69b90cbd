using DistributedPatterns.Tests.Pipeline;
using DistributedPatterns.WorkerPool;

namespace DistributedPatterns.Tests.WorkerPool;

/// <summary>The bare pool: results to their callers, never more workers than allowed, nothing left behind.</summary>
public sealed class ChannelWorkersTests
{
    private const int HangLimit = 60_000;

    [Theory(Timeout = HangLimit)]
    [InlineData(1, 1)]
    [InlineData(2, 3)]
    [InlineData(8, 1024)]
    public async Task Run_ByManyCallers_GivesEachItsOwnResult(int size, int capacity)
    {
        var (inside, most) = (0, 0);
        await using var workers = new ChannelWorkers<int, int>(size, capacity, async (x, worker, _) =>
        {
            var now = Interlocked.Increment(ref inside);
            if (now > Volatile.Read(ref most)) Volatile.Write(ref most, now);
            Assert.InRange(worker, 1, size);
            if (x % 10 == 0) await Task.Yield();
            Interlocked.Decrement(ref inside);
            return x % 100 == 99 ? throw new InvalidDataException($"{x}") : x + 1;
        });

        await Task.WhenAll(Enumerable.Range(0, 64).Select(caller => Task.Run(async () =>
        {
            for (var i = 0; i < 500; i++)
            {
                var x = (caller * 500) + i;
                if (x % 100 == 99) Assert.Equal($"{x}", (await Assert.ThrowsAsync<InvalidDataException>(async () => await workers.RunAsync(x, TestStop))).Message);
                else Assert.Equal(x + 1, await workers.RunAsync(x, x % 3 == 0 ? TestStop : CancellationToken.None));
            }
        }, TestStop)));

        Assert.InRange(most, 1, size);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Run_UnderAStormOfCancels_EndsEachCallOnceAndRunsNoCancelledOneLater()
    {
        var (ran, ended) = (0, 0);
        await using var workers = new ChannelWorkers<int, int>(2, 16, async (x, _, _) =>
        {
            Interlocked.Increment(ref ran);
            if (x % 7 == 0) await Task.Yield();
            return x;
        });

        var outcomes = await Task.WhenAll(Enumerable.Range(0, 64).Select(caller => Task.Run(async () =>
        {
            var cancelled = 0;
            for (var i = 0; i < 300; i++)
            {
                using var leave = new CancellationTokenSource();
                var running = workers.RunAsync(i, leave.Token);
                if ((caller + i) % 2 == 0) leave.Cancel();
                try
                {
                    Assert.Equal(i, await running);
                    Interlocked.Increment(ref ended);
                }
                catch (OperationCanceledException error)
                {
                    Assert.Equal(leave.Token, error.CancellationToken);
                    cancelled++;
                }
            }
            return cancelled;
        }, TestStop)));

        Assert.Equal(64 * 300, ended + outcomes.Sum());
        Assert.Equal(ended, ran); // a call that was cancelled has not been run
        Assert.True(outcomes.Sum() > 0);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Run_WhoseCallerBlocks_HoldsNoWorkerUp()
    {
        await using var workers = new ChannelWorkers<int, int>(1, 16, (x, _, _) => new(x));
        var gate = new Gate();

        var blocked = Task.Run(async () =>
        {
            await workers.RunAsync(1, TestStop);
            gate.Pass(); // goes on where the result arrived
        }, TestStop);
        await gate.Reached;

        Assert.Equal(2, await workers.RunAsync(2, TestStop));
        gate.Open();
        await blocked;
    }

    [Fact(Timeout = HangLimit)]
    public async Task Dispose_WhileBusy_ReturnsWhenTheLastJobIsDone()
    {
        var gate = new Gate();
        var workers = new ChannelWorkers<int, int>(1, 1, async (x, _, token) =>
        {
            await gate.PassAsync(token);
            return x;
        });
        var running = workers.RunAsync(1, TestStop).AsTask();
        await gate.Reached;
        var queued = workers.RunAsync(2, TestStop).AsTask();
        var waiting = workers.RunAsync(3, TestStop).AsTask();

        var disposing = workers.DisposeAsync().AsTask();
        await Assert.ThrowsAsync<ObjectDisposedException>(() => waiting);
        Assert.False(disposing.IsCompleted);
        gate.Open();
        await disposing;

        Assert.Equal((1, 2), (await running, await queued));
        await Assert.ThrowsAsync<ObjectDisposedException>(async () => await workers.RunAsync(4, TestStop));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Resize_ToMoreWhileJobsWait_StartsThem()
    {
        var inside = 0;
        var four = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var workers = new ChannelWorkers<int, int>(1, 16, async (x, _, token) =>
        {
            if (Interlocked.Increment(ref inside) == 4) four.SetResult();
            await four.Task.WaitAsync(token);
            return x;
        });
        var jobs = Enumerable.Range(0, 6).Select(x => workers.RunAsync(x, TestStop).AsTask()).ToArray();

        workers.Resize(4); // none of them ends before four run

        var results = await Task.WhenAll(jobs);
        Assert.Equal([0, 1, 2, 3, 4, 5], results);
        Assert.Equal(4, workers.Size);
    }

    private static CancellationToken TestStop => TestContext.Current.CancellationToken;
}
