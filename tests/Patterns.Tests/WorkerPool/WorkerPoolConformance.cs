using DistributedPatterns.Tests.Pipeline;
using DistributedPatterns.WorkerPool;

namespace DistributedPatterns.Tests.WorkerPool;

/// <summary>What every variant of <see cref="IWorkerPool"/> keeps. A variant's class says how to make one and what it does not promise.</summary>
public abstract partial class WorkerPoolConformance
{
    /// <summary>Far above what any test takes: a limit for hangs, in milliseconds.</summary>
    protected const int HangLimit = 60_000;

    /// <summary>Gets whether jobs that a drain hands back are run after the pool was resumed; otherwise they are cancelled.</summary>
    protected virtual bool KeepsWhatIsHandedBack => false;

    /// <summary>Gets whether a job may be taken on although its submitter left while it waited for room.</summary>
    protected virtual bool MayTakeOnWhatWasLeft => false;

    /// <summary>Gets how many processes have workers.</summary>
    protected virtual int Processes => 1;

    protected static CancellationToken TestStop => TestContext.Current.CancellationToken;

    /// <summary>Makes the variant under test with these definitions registered in every process that it uses.</summary>
    protected abstract ValueTask<WorkerPoolHost> CreateAsync(Action<WorkerPoolOptions>? configure, params JobDefinition[] definitions);

    protected ValueTask<WorkerPoolHost> CreateAsync(params JobDefinition[] definitions) => CreateAsync(null, definitions);

    protected static async Task<WorkerPoolSnapshot> AssertAddsUpAsync(IWorkerPool pool)
    {
        var snapshot = await pool.GetSnapshotAsync(TestStop);
        Assert.True(snapshot.Ledger.AddsUp, $"{snapshot.Ledger}");
        return snapshot;
    }

    [Fact(Timeout = HangLimit)]
    public async Task Submit_OfTwoUnrelatedJobs_GivesTheirTypedResults()
    {
        var (square, shout) = (TestJobs.Square(), TestJobs.Shout());
        await using var host = await CreateAsync(square, shout);

        var number = await host.Pool.SubmitAsync(square, 12, TestStop);
        var text = await host.Pool.SubmitAsync(shout, new Shout("hé", 2), TestStop);

        Assert.True(number.IsNew);
        Assert.Equal(144, await number.ResultAsync(TestStop));
        var shouted = await text.ResultAsync(TestStop);
        Assert.Equal(("HÉ!!", 1), (shouted.Text, shouted.Attempt));
        var status = await host.Pool.FindAsync(number.Id, TestStop);
        Assert.Equal((JobState.Done, "square", 1, "144"), (status!.State, status.Job, status.Attempts, status.Result!.Value.GetRawText()));
        Assert.Null(status.Error);
        Assert.Equal(shouted.By, (await text.WaitAsync(TestStop)).Worker);
        Assert.Equal(new JobLedger(2, 2, 0, 0, 0, 0, 0), (await AssertAddsUpAsync(host.Pool)).Ledger);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Submit_ManyByManyCallers_GivesEachItsOwnResult()
    {
        var square = TestJobs.Square();
        await using var host = await CreateAsync(square);

        await Task.WhenAll(Enumerable.Range(0, 32).Select(caller => Task.Run(async () =>
        {
            for (var i = 0; i < 20; i++)
            {
                var x = (caller * 1_000) + i;
                Assert.Equal((long)x * x, await (await host.Pool.SubmitAsync(square, x, TestStop)).ResultAsync(TestStop));
            }
        }, TestStop)));

        Assert.Equal((640, 640), ((await AssertAddsUpAsync(host.Pool)).Ledger.Submitted, (await AssertAddsUpAsync(host.Pool)).Ledger.Done));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Submit_OfAnUnknownJob_NamesThoseThereAre()
    {
        await using var host = await CreateAsync(TestJobs.Square(), TestJobs.Shout());

        var error = await Assert.ThrowsAsync<UnknownJobException>(async () => await host.Pool.SubmitAsync(new JobRequest("nope", TestJobs.Json("1")), TestStop));

        Assert.Equal(["shout", "square"], error.Known.Order());
        Assert.Equal(0, (await AssertAddsUpAsync(host.Pool)).Ledger.Submitted);
    }

    [Theory(Timeout = HangLimit)]
    [InlineData("square", "\"twelve\"")]
    [InlineData("shout", "{\"Text\":")]
    [InlineData("shout", "null")]
    public async Task Submit_OfAnInputThatTheJobDoesNotTake_IsRefused(string job, string json)
    {
        await using var host = await CreateAsync(TestJobs.Square(), TestJobs.Shout());
        var input = json.EndsWith(':') ? TestJobs.Json("[]") : TestJobs.Json(json);

        var error = await Assert.ThrowsAsync<JobInputException>(async () => await host.Pool.SubmitAsync(new JobRequest(job, input), TestStop));

        Assert.Equal(job, error.Job);
        Assert.Equal(0, (await AssertAddsUpAsync(host.Pool)).Ledger.Submitted);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Submit_OfAnIdAgain_ReturnsTheSameJobAlsoAfterItsEnd()
    {
        var runs = 0;
        var gate = new Gate();
        var square = TestJobs.Square(async (_, _, token) =>
        {
            Interlocked.Increment(ref runs);
            await gate.PassAsync(token);
        });
        await using var host = await CreateAsync(square);
        var request = square.With(3) with { Id = "the-one" };

        var storm = await Task.WhenAll(Enumerable.Range(0, 10).Select(async _ => await host.Pool.SubmitAsync(square, request, TestStop)));
        gate.Open();
        await storm[0].ResultAsync(TestStop);
        var late = await host.Pool.SubmitAsync(square, request, TestStop);

        Assert.Single(storm, handle => handle.IsNew);
        Assert.False(late.IsNew);
        Assert.All([.. storm, late], handle => Assert.Equal("the-one", handle.Id));
        Assert.Equal(9, await late.ResultAsync(TestStop));
        Assert.Equal(1, runs);
        Assert.Equal(1, (await AssertAddsUpAsync(host.Pool)).Ledger.Submitted);
    }

    [Theory(Timeout = HangLimit)]
    [InlineData("")]
    [InlineData("a\nb")]
    public async Task Submit_OfABadId_IsAnArgumentError(string id)
    {
        var square = TestJobs.Square();
        await using var host = await CreateAsync(square);

        await Assert.ThrowsAsync<ArgumentException>(async () => await host.Pool.SubmitAsync(square.With(1) with { Id = id }, TestStop));
        await Assert.ThrowsAsync<ArgumentException>(async () => await host.Pool.SubmitAsync(square.With(1) with { TimeToLive = TimeSpan.Zero }, TestStop));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Find_OfAnUnknownId_IsNull()
    {
        await using var host = await CreateAsync(TestJobs.Square());

        Assert.Null(await host.Pool.FindAsync("nobody", TestStop));
        Assert.Equal("nobody", (await Assert.ThrowsAsync<JobNotFoundException>(() => host.Pool.WaitAsync("nobody", TestStop))).Id);
        Assert.Equal(JobCancellation.Unknown, await host.Pool.CancelAsync("nobody", TestStop));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Wait_WhoseCallerLeaves_LeavesTheJobAlone()
    {
        var gate = new Gate();
        var square = TestJobs.Gated(gate);
        await using var host = await CreateAsync(square);
        var job = await host.Pool.SubmitAsync(square, 5, TestStop);
        await gate.Reached;
        using var leave = new CancellationTokenSource();

        var waiting = job.ResultAsync(leave.Token);
        await leave.CancelAsync();

        var left = await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
        Assert.Equal(leave.Token, left.CancellationToken);
        gate.Open();
        Assert.Equal(25, await job.ResultAsync(TestStop));
    }

    [Fact(Timeout = HangLimit)]
    public async Task GetSnapshot_WhileJobsRun_SaysWhoRunsWhatSinceWhen()
    {
        var gate = new Gate();
        var square = TestJobs.Gated(gate);
        await using var host = await CreateAsync(options => options.Size = 1, square);
        var jobs = new List<JobHandle<long>>();
        for (var i = 0; i < Processes + 2; i++) jobs.Add(await host.Pool.SubmitAsync(square, i, TestStop));

        var snapshot = await host.UntilAsync(snapshot => snapshot.Running.Count == Processes && snapshot.Ledger.Running == Processes);
        Assert.True(snapshot.Ledger.AddsUp, $"{snapshot.Ledger}");
        gate.Open();
        foreach (var job in jobs) await job.ResultAsync(TestStop);

        Assert.Equal((Processes, 2), (snapshot.Ledger.Running, snapshot.Ledger.Queued));
        Assert.Equal(Processes, snapshot.Workers.Count);
        Assert.All(snapshot.Workers, worker => Assert.Equal((1, 1), (worker.Size, worker.Busy)));
        Assert.All(snapshot.Running, running =>
        {
            Assert.Equal(("square", 1), (running.Job, running.Attempt));
            Assert.Contains(running.Id, jobs.Select(job => job.Id));
            Assert.Contains(running.Worker.Split('/')[0], snapshot.Workers.Select(worker => worker.Name));
            Assert.True(running.Since >= TimeSpan.Zero);
        });
        await host.UntilAsync(after => after.Running.Count == 0 && after.Ledger is { Running: 0, Queued: 0 });
    }
}
