using DistributedPatterns.Tests.Pipeline;
using DistributedPatterns.WorkerPool;

namespace DistributedPatterns.Tests.WorkerPool;

public abstract partial class WorkerPoolConformance
{
    [Fact(Timeout = HangLimit)]
    public async Task Run_ThatThrowsAtFirst_IsTriedAgain()
    {
        var attempts = new List<int>();
        var square = TestJobs.Square((_, context, _) =>
        {
            lock (attempts) attempts.Add(context.Attempt);
            return context.Attempt < 3 ? throw new IOException("not yet") : Task.CompletedTask;
        });
        await using var host = await CreateAsync(square);

        var job = await host.Pool.SubmitAsync(square, 4, TestStop);

        Assert.Equal(16, await host.PassTimeUntilAsync(job.ResultAsync(TestStop)));
        Assert.Equal([1, 2, 3], attempts);
        Assert.Equal(3, (await job.WaitAsync(TestStop)).Attempts);
        var snapshot = await AssertAddsUpAsync(host.Pool);
        Assert.Equal((1, 2), (snapshot.Ledger.Done, snapshot.Counters.Redelivered));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Run_ThatThrowsEachTime_IsDeadAfterItsAttempts()
    {
        var square = TestJobs.Square((_, _, _) => throw new IOException("disk on fire: 100 %"), options => options.MaxAttempts = 2);
        await using var host = await CreateAsync(square);

        var job = await host.Pool.SubmitAsync(square, 4, TestStop);
        var status = await host.PassTimeUntilAsync(job.WaitAsync(TestStop));

        Assert.Equal((JobState.Dead, 2), (status.State, status.Attempts));
        Assert.Equal(new JobError("IOException", "disk on fire: 100 %"), status.Error);
        var error = await Assert.ThrowsAsync<JobFailedException>(() => job.ResultAsync(TestStop));
        Assert.Equal(JobState.Dead, error.Status.State);
        Assert.Equal((1, 1), ((await AssertAddsUpAsync(host.Pool)).Ledger.Dead, (await host.Pool.GetSnapshotAsync(TestStop)).Counters.Redelivered));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Run_ThatThrowsWhatIsNotWorthARetry_Fails()
    {
        var square = TestJobs.Square((x, _, _) => throw (x == 1 ? new JobRefusedException("no such thing") : new NotSupportedException("never")),
            options => options.IsRetryable = error => error is not JobRefusedException and not NotSupportedException);
        await using var host = await CreateAsync(square);

        var refused = await (await host.Pool.SubmitAsync(square, 1, TestStop)).WaitAsync(TestStop);
        var unsupported = await (await host.Pool.SubmitAsync(square, 2, TestStop)).WaitAsync(TestStop);

        Assert.Equal((JobState.Failed, 1, new JobError("JobRefusedException", "no such thing")), (refused.State, refused.Attempts, refused.Error));
        Assert.Equal((JobState.Failed, 1, new JobError("NotSupportedException", "never")), (unsupported.State, unsupported.Attempts, unsupported.Error));
        Assert.Equal(2, (await AssertAddsUpAsync(host.Pool)).Ledger.Failed);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Run_ThatThrowsACancellationOfItsOwn_IsAnErrorLikeAnyOther()
    {
        var square = TestJobs.Square((_, _, _) => throw new OperationCanceledException("by the job itself"), options => options.MaxAttempts = 1);
        await using var host = await CreateAsync(square);

        var status = await (await host.Pool.SubmitAsync(square, 1, TestStop)).WaitAsync(TestStop);

        Assert.Equal((JobState.Dead, "OperationCanceledException"), (status.State, status.Error!.Kind));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Run_BeyondItsTimeLimit_IsCancelledAndCountsAsAnError()
    {
        var square = TestJobs.Square((_, _, token) => TestJobs.Forever(token),
            options => (options.TimeLimit, options.MaxAttempts) = (TimeSpan.FromMilliseconds(200), 2));
        await using var host = await CreateAsync(square);

        var job = await host.Pool.SubmitAsync(square, 1, TestStop);
        var status = await host.PassTimeUntilAsync(job.WaitAsync(TestStop));

        Assert.Equal((JobState.Dead, 2, nameof(JobTimeLimitException)), (status.State, status.Attempts, status.Error!.Kind));
        Assert.Contains("00:00:00.2", status.Error.Message, StringComparison.Ordinal);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Run_PastTheJobsDeadline_DoesNotBegin()
    {
        var gate = new Gate();
        var ran = 0;
        var square = TestJobs.Square(async (x, _, token) =>
        {
            if (x == 0) await gate.PassAsync(token);
            else Interlocked.Increment(ref ran);
        });
        await using var host = await CreateAsync(options => options.Size = 1, square);
        for (var i = 0; i < Processes; i++) await host.Pool.SubmitAsync(square, 0, TestStop); // every worker is busy
        await host.UntilAsync(snapshot => snapshot.Ledger.Running == Processes);

        var job = await host.Pool.SubmitAsync(square, square.With(1) with { TimeToLive = TimeSpan.FromMilliseconds(50) }, TestStop);
        await host.PassTimeAsync(TimeSpan.FromMilliseconds(100));
        gate.Open();
        var status = await host.PassTimeUntilAsync(job.WaitAsync(TestStop));

        Assert.Equal((JobState.Dead, "deadline"), (status.State, status.Error?.Kind));
        Assert.Equal(0, ran);
        Assert.Equal(1, (await AssertAddsUpAsync(host.Pool)).Ledger.Dead);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Run_ThatReachesTheJobsDeadline_IsCancelledAndDead()
    {
        var square = TestJobs.Square((_, _, token) => TestJobs.Forever(token));
        await using var host = await CreateAsync(square);

        var job = await host.Pool.SubmitAsync(square, square.With(1) with { TimeToLive = TimeSpan.FromMilliseconds(300) }, TestStop);
        var status = await host.PassTimeUntilAsync(job.WaitAsync(TestStop));

        Assert.Equal((JobState.Dead, "deadline"), (status.State, status.Error?.Kind));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Cancel_OfAQueuedJob_EndsItAtOnceAndItNeverRuns()
    {
        var gate = new Gate();
        var ran = 0;
        var square = TestJobs.Square(async (x, _, token) =>
        {
            if (x == 0) await gate.PassAsync(token);
            else Interlocked.Increment(ref ran);
        });
        await using var host = await CreateAsync(options => options.Size = 1, square);
        for (var i = 0; i < Processes; i++) await host.Pool.SubmitAsync(square, 0, TestStop);
        await host.UntilAsync(snapshot => snapshot.Ledger.Running == Processes);
        var job = await host.Pool.SubmitAsync(square, 1, TestStop);

        Assert.Equal(JobCancellation.Cancelled, await job.CancelAsync(TestStop));

        Assert.Equal(JobState.Cancelled, (await job.WaitAsync(TestStop)).State); // while the workers are still busy
        Assert.Equal(JobCancellation.Cancelled, await job.CancelAsync(TestStop)); // said again
        await Assert.ThrowsAsync<JobCancelledException>(() => job.ResultAsync(TestStop));
        gate.Open();
        await host.UntilAsync(snapshot => snapshot.Ledger is { Running: 0, Queued: 0 });
        Assert.Equal(0, ran);
        Assert.Equal((1, Processes), ((await AssertAddsUpAsync(host.Pool)).Ledger.Cancelled, (await host.Pool.GetSnapshotAsync(TestStop)).Ledger.Done));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Cancel_OfARunningJob_CancelsItsTokenAndTheJobIsNotRetried()
    {
        var gate = new Gate();
        gate.Open();
        var runs = 0;
        var square = TestJobs.Square(async (x, _, token) =>
        {
            Interlocked.Increment(ref runs);
            await gate.PassAsync(token);
            try
            {
                await TestJobs.Forever(token);
            }
            catch (OperationCanceledException) when (x == 2)
            {
                throw new IOException("cleaning up went wrong");
            }
        });
        await using var host = await CreateAsync(square);
        var job = await host.Pool.SubmitAsync(square, 1, TestStop);
        var untidy = await host.Pool.SubmitAsync(square, 2, TestStop);
        await host.UntilAsync(snapshot => snapshot.Ledger.Running == 2 && Volatile.Read(ref runs) == 2);

        Assert.Equal(JobCancellation.Asked, await job.CancelAsync(TestStop));
        Assert.Equal(JobCancellation.Asked, await untidy.CancelAsync(TestStop));

        Assert.Equal(JobState.Cancelled, (await job.WaitAsync(TestStop)).State);
        Assert.Equal(JobState.Cancelled, (await untidy.WaitAsync(TestStop)).State);
        Assert.Equal(2, runs);
        Assert.Equal(2, (await AssertAddsUpAsync(host.Pool)).Ledger.Cancelled);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Cancel_OfAJobThatHasEnded_ComesTooLate()
    {
        var square = TestJobs.Square();
        await using var host = await CreateAsync(square);
        var job = await host.Pool.SubmitAsync(square, 3, TestStop);
        await job.ResultAsync(TestStop);

        Assert.Equal(JobCancellation.TooLate, await job.CancelAsync(TestStop));

        Assert.Equal(JobState.Done, (await host.Pool.FindAsync(job.Id, TestStop))!.State);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Ledger_UnderAMixOfOutcomesAndCancels_AddsUpInEveryReading()
    {
        var square = TestJobs.Square(async (x, context, token) =>
        {
            await Task.Yield();
            switch (x % 5)
            {
                case 1: throw new JobRefusedException("no");
                case 2 when context.Attempt == 1: throw new IOException("again");
                case 3: throw new IOException("always");
                case 4: await TestJobs.Forever(token); break;
            }
        }, options => options.MaxAttempts = 2);
        await using var host = await CreateAsync(options => options.Size = 4, square);
        using var stop = new CancellationTokenSource();
        var watching = Task.Run(async () =>
        {
            for (; !stop.IsCancellationRequested; await Task.Yield()) await AssertAddsUpAsync(host.Pool);
        }, TestStop);

        var all = Task.WhenAll(Enumerable.Range(0, 100).Select(x => Task.Run(async () =>
        {
            var job = await host.Pool.SubmitAsync(square, x, TestStop);
            if (x % 5 == 4) await job.CancelAsync(TestStop);
            return (await job.WaitAsync(TestStop)).State;
        }, TestStop)));
        var states = await host.PassTimeUntilAsync(all);
        await stop.CancelAsync();
        await watching;

        JobState[] expected = [JobState.Done, JobState.Failed, JobState.Done, JobState.Dead, JobState.Cancelled];
        Assert.Equal(Enumerable.Range(0, 100).Select(x => expected[x % 5]), states);
        Assert.Equal(new JobLedger(100, 40, 20, 20, 20, 0, 0), (await AssertAddsUpAsync(host.Pool)).Ledger);
    }
}
