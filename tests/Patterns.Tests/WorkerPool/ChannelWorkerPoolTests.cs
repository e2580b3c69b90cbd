using DistributedPatterns.Diagnostics;
using DistributedPatterns.Tests.Guarantees;
using DistributedPatterns.Tests.Pipeline;
using DistributedPatterns.WorkerPool;
using Microsoft.Extensions.Options;

namespace DistributedPatterns.Tests.WorkerPool;

/// <summary>The contract over <see cref="ChannelWorkerPool"/>, on a clock that stands still unless a test moves it.</summary>
[Guarantees("worker-pool", Variants.Channel)]
[DoesNotPromise(Guarantee.Order, "none: jobs run side by side")]
[Promises(Guarantee.Delivery, "once an attempt; one outcome counts",
    nameof(Submit_OfAnIdAgain_ReturnsTheSameJobAlsoAfterItsEnd), nameof(Ledger_UnderAMixOfOutcomesAndCancels_AddsUpInEveryReading))]
[DoesNotPromise(Guarantee.ProcessDeath, "its jobs are gone")]
[DoesNotPromise(Guarantee.StaleHolder, "there is none")]
[Promises(Guarantee.Full, "a submit waits or is refused, as set; counted",
    nameof(Submit_WhenFullAndToWait_GoesOnWhenThereIsRoom), nameof(Submit_WhenFullAndToReject_IsRefusedAndCountedUntilThereIsRoom))]
public sealed class ChannelWorkerPoolTests : WorkerPoolConformance
{
    private readonly ManualTime _time = new();

    protected override ValueTask<WorkerPoolHost> CreateAsync(Action<WorkerPoolOptions>? configure, params JobDefinition[] definitions)
    {
        var pool = NewPool(configure, definitions);
        return new(new WorkerPoolHost(pool, pool.DisposeAsync, _time.Advance));
    }

    private ChannelWorkerPool NewPool(Action<ChannelWorkerPoolOptions>? configure, params JobDefinition[] definitions)
    {
        var options = new ChannelWorkerPoolOptions { Name = "here", IdPrefix = "here." };
        configure?.Invoke(options);
        return new ChannelWorkerPool(new JobCatalog(definitions), Options.Create(options), _time);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Run_IsRetried_WaitsAtRandomUpToADelayThatDoubles()
    {
        var square = TestJobs.Square((_, _, _) => throw new IOException("again"),
            options => (options.MaxAttempts, options.RetryDelay, options.MaxRetryDelay) = (5, TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(4)));
        await using var pool = NewPool(null, square);

        var job = await pool.SubmitAsync(square, 1, TestStop);
        foreach (var upper in (int[])[1, 2, 4, 4])
        {
            var delay = await NextDelayAsync(square.Name);
            Assert.InRange(delay, TimeSpan.FromMilliseconds(1), TimeSpan.FromSeconds(upper));
            Assert.Equal(JobState.Queued, (await pool.FindAsync(job.Id, TestStop))!.State);
            _time.Advance(delay);
        }

        Assert.Equal((JobState.Dead, 5), ((await job.WaitAsync(TestStop)).State, (await job.WaitAsync(TestStop)).Attempts));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Run_WhoseNextAttemptWouldBePastTheDeadline_IsDeadAtOnce()
    {
        var square = TestJobs.Square((_, _, _) => throw new IOException("again"),
            options => (options.RetryDelay, options.MaxRetryDelay) = (TimeSpan.FromHours(1), TimeSpan.FromHours(1)));
        await using var pool = NewPool(null, square);

        var job = await pool.SubmitAsync(square, square.With(1) with { TimeToLive = TimeSpan.FromMilliseconds(1) }, TestStop);

        Assert.Equal((JobState.Dead, "deadline", 1), await job.WaitAsync(TestStop) is var status ? (status.State, status.Error!.Kind, status.Attempts) : default);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Cancel_OfAJobThatWaitsForItsNextAttempt_EndsIt()
    {
        var square = TestJobs.Square((_, _, _) => throw new IOException("again"),
            options => (options.RetryDelay, options.MaxRetryDelay) = (TimeSpan.FromHours(1), TimeSpan.FromHours(1)));
        await using var pool = NewPool(options => options.Capacity = 1, square);
        var job = await pool.SubmitAsync(square, 1, TestStop);
        await NextDelayAsync(square.Name);

        Assert.Equal(JobCancellation.Cancelled, await job.CancelAsync(TestStop));

        Assert.Equal(JobState.Cancelled, (await job.WaitAsync(TestStop)).State);
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(20), TimeProvider.System);
        Assert.True((await pool.SubmitAsync(square, 2, limit.Token)).IsNew); // its room is free again
    }

    [Fact(Timeout = HangLimit)]
    public async Task Find_OfAJobThatEndedLongAgo_IsForgottenAndThePoolCanTell()
    {
        var square = TestJobs.Square();
        await using var pool = NewPool(options => options.KeepEndedFor = TimeSpan.FromMinutes(1), square);
        var job = await pool.SubmitAsync(square, 1, TestStop);
        var named = await pool.SubmitAsync(square, square.With(2) with { Id = "mine" }, TestStop);
        await Task.WhenAll(job.ResultAsync(TestStop), named.ResultAsync(TestStop));

        Assert.False(pool.HasForgotten(job.Id));
        _time.Advance(TimeSpan.FromSeconds(61));

        Assert.Null(await pool.FindAsync(job.Id, TestStop));
        Assert.Null(await pool.FindAsync("mine", TestStop));
        Assert.True(pool.HasForgotten(job.Id));
        Assert.False(pool.HasForgotten("mine"));
        Assert.False(pool.HasForgotten(job.Id + "1"));
        Assert.True((await pool.SubmitAsync(square, square.With(2) with { Id = "mine" }, TestStop)).IsNew);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Find_BeyondTheNumberOfEndedJobsKept_ForgetsTheOldest()
    {
        var square = TestJobs.Square();
        await using var pool = NewPool(options => options.KeepEnded = 3, square);
        var jobs = new List<JobHandle<long>>();
        for (var i = 0; i < 5; i++)
        {
            jobs.Add(await pool.SubmitAsync(square, i, TestStop));
            await jobs[i].ResultAsync(TestStop);
        }

        Assert.Equal([true, true, false, false, false], jobs.Select(job => pool.HasForgotten(job.Id)));
        Assert.Equal(5, (await AssertAddsUpAsync(pool)).Ledger.Done);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Dispose_WhileBusy_CancelsWhatRunsAndTakesBackWhatWaits()
    {
        var square = TestJobs.Square((_, _, token) => TestJobs.Forever(token));
        var pool = NewPool(options => options.Size = 2, square);
        var jobs = new List<JobHandle<long>>();
        for (var i = 0; i < 10; i++) jobs.Add(await pool.SubmitAsync(square, i, TestStop));

        await pool.DisposeAsync();

        foreach (var job in jobs) Assert.Equal(JobState.Cancelled, (await job.WaitAsync(TestStop)).State);
        await Assert.ThrowsAsync<WorkerPoolDrainingException>(async () => await pool.SubmitAsync(square, 1, TestStop));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Submit_AfterAThousandWaitsThatWereGivenUp_HasItsRoom()
    {
        var gate = new Gate();
        var square = TestJobs.Gated(gate, 0);
        await using var pool = NewPool(options => options.Capacity = 1, square);
        await pool.SubmitAsync(square, 0, TestStop);
        using var leave = new CancellationTokenSource();

        var waits = Enumerable.Range(0, 1_000).Select(i => pool.SubmitAsync(square, 1, leave.Token).AsTask()).ToArray();
        await leave.CancelAsync();
        foreach (var wait in waits) await Assert.ThrowsAnyAsync<OperationCanceledException>(() => wait);
        gate.Open();

        Assert.Equal(49, await (await pool.SubmitAsync(square, 7, TestStop)).ResultAsync(TestStop));
        Assert.Equal(2, (await AssertAddsUpAsync(pool)).Ledger.Submitted);
    }

    // Each attempt first sets the timer of its limit, then, when it threw, that of the delay.
    private async Task<TimeSpan> NextDelayAsync(string job)
    {
        Assert.Equal(TimeSpan.FromMinutes(5), await _time.NextTimerAsync(TestStop));
        var delay = await _time.NextTimerAsync(TestStop);
        Assert.True(delay > TimeSpan.Zero, job);
        return delay;
    }
}
