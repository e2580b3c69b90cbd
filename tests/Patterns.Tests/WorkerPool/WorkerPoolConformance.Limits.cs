using DistributedPatterns.Tests.Pipeline;
using DistributedPatterns.WorkerPool;

namespace DistributedPatterns.Tests.WorkerPool;

public abstract partial class WorkerPoolConformance
{
    [Fact(Timeout = HangLimit)]
    public async Task Submit_WhenFullAndToReject_IsRefusedAndCountedUntilThereIsRoom()
    {
        var gate = new Gate();
        var square = TestJobs.Gated(gate);
        await using var host = await CreateAsync(options => (options.Capacity, options.WhenFull) = (3, PoolFullPolicy.Reject), square);
        var jobs = new List<JobHandle<long>>();
        for (var i = 0; i < 3; i++) jobs.Add(await host.Pool.SubmitAsync(square, i, TestStop));

        var error = await Assert.ThrowsAsync<WorkerPoolFullException>(async () => await host.Pool.SubmitAsync(square, 9, TestStop));

        Assert.Equal(3, error.Capacity);
        Assert.Contains("3 of 3", error.Message, StringComparison.Ordinal);
        var full = await AssertAddsUpAsync(host.Pool);
        Assert.Equal((3, 1, 3), (full.Ledger.Submitted, full.Counters.Rejected, full.Capacity));
        gate.Open();
        foreach (var job in jobs) await job.ResultAsync(TestStop);
        Assert.Equal(81, await (await host.Pool.SubmitAsync(square, 9, TestStop)).ResultAsync(TestStop));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Submit_WhenFullAndToWait_GoesOnWhenThereIsRoom()
    {
        var gate = new Gate();
        var square = TestJobs.Gated(gate);
        await using var host = await CreateAsync(options => options.Capacity = 2, square);
        for (var i = 0; i < 2; i++) await host.Pool.SubmitAsync(square, i, TestStop);

        var waiting = host.Pool.SubmitAsync(square, 7, TestStop).AsTask();
        Assert.False(waiting.IsCompleted);
        gate.Open();

        Assert.Equal(49, await (await waiting).ResultAsync(TestStop));
        var snapshot = await AssertAddsUpAsync(host.Pool);
        Assert.Equal((3, 0), (snapshot.Ledger.Submitted, snapshot.Counters.Rejected));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Submit_WhoseCallerLeavesWhileItWaits_EndsItsWaiting()
    {
        var gate = new Gate();
        var square = TestJobs.Gated(gate);
        await using var host = await CreateAsync(options => options.Capacity = 1, square);
        await host.Pool.SubmitAsync(square, 0, TestStop);
        using var leave = new CancellationTokenSource();

        var waiting = host.Pool.SubmitAsync(square, 7, leave.Token).AsTask();
        await leave.CancelAsync();

        Assert.Equal(leave.Token, (await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting)).CancellationToken);
        gate.Open();
        await host.UntilAsync(snapshot => snapshot.Ledger.Done > 0);
        Assert.InRange((await AssertAddsUpAsync(host.Pool)).Ledger.Submitted, 1, MayTakeOnWhatWasLeft ? 2 : 1);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Submit_WhenFullBeyondTheWait_SaysHowLongItWaited()
    {
        var gate = new Gate();
        var square = TestJobs.Gated(gate);
        await using var host = await CreateAsync(options => (options.Capacity, options.FullWait) = (1, TimeSpan.FromMilliseconds(100)), square);
        await host.Pool.SubmitAsync(square, 0, TestStop);

        var waiting = host.Pool.SubmitAsync(square, 7, TestStop).AsTask();

        var error = await Assert.ThrowsAsync<WorkerPoolFullException>(() => host.PassTimeUntilAsync(waiting));
        Assert.True(error.Waited >= TimeSpan.FromMilliseconds(90), $"{error.Waited}");
        gate.Open();
    }

    [Fact(Timeout = HangLimit)]
    public async Task Resize_WhileJobsRun_ChangesHowManyRunAtTheSameTime()
    {
        var (inside, most) = (0, 0);
        var gates = Enumerable.Range(0, 4).Select(_ => new Gate()).ToArray();
        var square = TestJobs.Square(async (x, _, token) =>
        {
            var now = Interlocked.Increment(ref inside);
            InterlockedMax(ref most, now);
            await gates[x].PassAsync(token);
            Interlocked.Decrement(ref inside);
        });
        await using var host = await CreateAsync(options => options.Size = 1, square);
        await SubmitAsync(0, 6 * Processes);
        await host.UntilAsync(snapshot => snapshot.Ledger.Running == Processes);

        await host.Pool.ResizeAsync(3, TestStop);
        await host.UntilAsync(snapshot => snapshot.Ledger.Running == 3 * Processes && Volatile.Read(ref inside) == 3 * Processes);
        await host.Pool.ResizeAsync(2, TestStop);
        await host.UntilAsync(snapshot => snapshot.Workers.Count == Processes && snapshot.Workers.All(worker => worker.Size == 2));
        Assert.Equal(3 * Processes, Volatile.Read(ref inside)); // nobody is interrupted
        gates[0].Open();
        await host.UntilAsync(snapshot => snapshot.Ledger.Done == 6 * Processes);
        Assert.Equal(3 * Processes, most);

        most = 0;
        await SubmitAsync(1, 5 * Processes);
        await host.UntilAsync(snapshot => snapshot.Ledger.Running == 2 * Processes && Volatile.Read(ref inside) == 2 * Processes);
        gates[1].Open();
        await host.UntilAsync(snapshot => snapshot.Ledger.Done == 11 * Processes);
        Assert.Equal(2 * Processes, most);

        async Task SubmitAsync(int gate, int count)
        {
            for (var i = 0; i < count; i++) await host.Pool.SubmitAsync(square, gate, TestStop);
        }
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(0)]
    [InlineData(IWorkerPool.MaxSize + 1)]
    public async Task Resize_BeyondItsRange_IsAnArgumentError(int size)
    {
        await using var host = await CreateAsync(TestJobs.Square());

        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(async () => await host.Pool.ResizeAsync(size, TestStop));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Drain_OfAPoolWhoseJobsEnd_ReportsThemAndTakesNothingOnUntilResumed()
    {
        var gate = new Gate();
        var square = TestJobs.Gated(gate);
        await using var host = await CreateAsync(options => options.Size = 1, square);
        var jobs = new List<JobHandle<long>>();
        for (var i = 0; i < 2 * Processes; i++) jobs.Add(await host.Pool.SubmitAsync(square, i, TestStop));
        await gate.Reached;

        var draining = host.Pool.DrainAsync(TimeSpan.FromSeconds(30), TestStop);
        await host.UntilAsync(snapshot => snapshot.IsDraining);
        await Assert.ThrowsAsync<WorkerPoolDrainingException>(async () => await host.Pool.SubmitAsync(square, 9, TestStop));
        Assert.False(draining.IsCompleted);
        gate.Open();
        var report = await draining;

        Assert.Equal(2 * Processes, report.Finished);
        Assert.Equal(0, report.HandedBack);
        Assert.Empty(report.NotStopped);
        foreach (var job in jobs) Assert.Equal(JobState.Done, (await job.WaitAsync(TestStop)).State);
        await Assert.ThrowsAsync<WorkerPoolDrainingException>(async () => await host.Pool.SubmitAsync(square, 9, TestStop));
        await host.Pool.ResumeAsync(TestStop);
        Assert.Equal(81, await (await host.Pool.SubmitAsync(square, 9, TestStop)).ResultAsync(TestStop));
        Assert.False((await AssertAddsUpAsync(host.Pool)).IsDraining);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Drain_BeyondItsLimit_HandsBackWhatHasNotEnded()
    {
        var isOpen = false;
        var square = TestJobs.Square((_, _, token) => Volatile.Read(ref isOpen) ? Task.CompletedTask : TestJobs.Forever(token));
        await using var host = await CreateAsync(options => (options.Size, options.StopGrace) = (1, TimeSpan.FromSeconds(20)), square);
        var jobs = new List<JobHandle<long>>();
        for (var i = 0; i < Processes + 1; i++) jobs.Add(await host.Pool.SubmitAsync(square, i, TestStop));
        await host.UntilAsync(snapshot => snapshot.Ledger.Running == Processes);

        var report = await host.PassTimeUntilAsync(host.Pool.DrainAsync(TimeSpan.FromMilliseconds(100), TestStop));
        Volatile.Write(ref isOpen, true);

        Assert.Equal(0, report.Finished);
        Assert.Equal(jobs.Count, report.HandedBack);
        Assert.Empty(report.NotStopped);
        await host.Pool.ResumeAsync(TestStop);
        foreach (var job in jobs)
        {
            var status = await job.WaitAsync(TestStop);
            if (KeepsWhatIsHandedBack) Assert.Equal((JobState.Done, 1), (status.State, status.Attempts)); // the one that was handed back does not count
            else Assert.Equal((JobState.Cancelled, "drained"), (status.State, status.Error?.Kind));
        }
        await AssertAddsUpAsync(host.Pool);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Drain_WithAJobThatIgnoresItsToken_ReportsItAsNotStopped()
    {
        var gate = new Gate();
        var square = TestJobs.Square((_, _, _) => gate.PassAsync(CancellationToken.None).AsTask());
        await using var host = await CreateAsync(options => options.StopGrace = TimeSpan.FromMilliseconds(200), square);
        var job = await host.Pool.SubmitAsync(square, 3, TestStop);
        await gate.Reached;
        await host.UntilAsync(snapshot => snapshot.Running.Count == 1);

        var report = await host.PassTimeUntilAsync(host.Pool.DrainAsync(TimeSpan.FromMilliseconds(50), TestStop));
        gate.Open();

        Assert.Equal((job.Id, "square"), (report.NotStopped.Single().Id, report.NotStopped.Single().Job));
        Assert.Equal(0, report.HandedBack);
        Assert.Equal(9, await job.ResultAsync(TestStop)); // it came to its end after all
        await AssertAddsUpAsync(host.Pool);
    }

    private static void InterlockedMax(ref int most, int value)
    {
        for (var seen = Volatile.Read(ref most); value > seen;)
        {
            var before = Interlocked.CompareExchange(ref most, value, seen);
            if (before == seen) return;
            seen = before;
        }
    }
}
