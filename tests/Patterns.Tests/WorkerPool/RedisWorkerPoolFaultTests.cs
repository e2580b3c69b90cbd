using System.Globalization;
using DistributedPatterns.Redis;
using DistributedPatterns.Tests.Pipeline;
using DistributedPatterns.Tests.Support;
using DistributedPatterns.WorkerPool;
using StackExchange.Redis;

namespace DistributedPatterns.Tests.WorkerPool;

/// <summary>What only <see cref="RedisWorkerPool"/> promises: processes are killed and frozen, Redis is away, submitters leave.</summary>
public sealed class RedisWorkerPoolFaultTests : IAsyncLifetime
{
    private const int HangLimit = 120_000;

    private static readonly TimeSpan s_lease = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(40);

    private readonly string _folder = Directory.CreateTempSubdirectory("worker-pool-").FullName;
    private readonly List<WatchedProcess> _processes = [];

    [Theory(Timeout = HangLimit)]
    [InlineData(RedisKind.Garnet)]
    [InlineData(RedisKind.Redis)]
    public async Task Run_WhoseWorkerIsKilled_IsDoneByAnotherOneAndCountsOnce(RedisKind kind)
    {
        await using var server = await RedisBackend.StartAsync(kind);
        await using var cluster = await StartAsync(server);
        await LaunchAsync(server, cluster);
        var (job, trace) = await SubmitAsync(cluster);

        await _processes[0].KillAsync();
        var second = await LaunchAsync(server, cluster, expected: 1);
        await StartedAsync(trace, second);
        await GoAsync(trace);

        Assert.Equal(2, await job.ResultAsync(TestStop));
        Assert.Equal([$"start 1 {_processes[0].Pid}", $"start 2 {second.Pid}", $"end 2 {second.Pid}"], await File.ReadAllLinesAsync(trace.Path, TestStop));
        var snapshot = await cluster.Pool.GetSnapshotAsync(TestStop);
        Assert.Equal((new JobLedger(1, 1, 0, 0, 0, 0, 0), 1, 1), (snapshot.Ledger, snapshot.Counters.Expired, snapshot.Counters.Redelivered));
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(RedisKind.Garnet)]
    [InlineData(RedisKind.Redis)]
    public async Task Run_WhoseWorkerIsFrozenPastItsLease_HasItsOutcomeRefusedAndCounted(RedisKind kind)
    {
        await using var server = await RedisBackend.StartAsync(kind);
        await using var cluster = await StartAsync(server);
        await LaunchAsync(server, cluster);
        var (job, trace) = await SubmitAsync(cluster, ignoresItsToken: true);

        await _processes[0].PauseAsync();
        var second = await LaunchAsync(server, cluster, expected: 1); // the frozen one has fallen silent meanwhile
        await StartedAsync(trace, second);
        await GoAsync(trace);
        Assert.Equal(2, await job.ResultAsync(TestStop));
        await _processes[0].ResumeAsync();

        // It finds its work done, goes to its end all the same, and is refused.
        await Eventually.TrueAsync(
            async () => (await cluster.Pool.GetSnapshotAsync(TestStop)).Counters.Fenced == 1, s_limit, () => $"nothing was refused. It said:\n{_processes[0].Output}");
        Assert.Contains($"end 1 {_processes[0].Pid}", await File.ReadAllLinesAsync(trace.Path, TestStop));
        Assert.Equal((JobState.Done, 2), await cluster.Pool.FindAsync(job.Id, TestStop) is { } status ? (status.State, status.Attempts) : default);
        Assert.Equal(2, await job.ResultAsync(TestStop));
        Assert.True((await cluster.Pool.GetSnapshotAsync(TestStop)).Ledger is { AddsUp: true, Done: 1 });
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(RedisKind.Garnet)]
    [InlineData(RedisKind.Redis)]
    public async Task Run_ThatKillsItsWorkers_IsDeadAfterItsAttempts(RedisKind kind)
    {
        await using var server = await RedisBackend.StartAsync(kind);
        await using var cluster = await StartAsync(server);
        var job = await cluster.Pool.SubmitAsync(FaultJobs.Deadly, 1, TestStop);
        for (var i = 0; i < 2; i++)
        {
            await LaunchAsync(server, cluster, expected: null);
            await _processes[i].ExitAsync();
        }

        var (next, trace) = await SubmitAsync(cluster, waits: false);
        await GoAsync(trace);
        await LaunchAsync(server, cluster, expected: null);

        var status = await job.WaitAsync(TestStop);
        Assert.Equal((JobState.Dead, "expired"), (status.State, status.Error!.Kind));
        Assert.Equal(1, await next.ResultAsync(TestStop));
        Assert.False(_processes[2].HasExited);
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(RedisKind.Garnet)]
    [InlineData(RedisKind.Redis)]
    public async Task Run_WhileRedisIsAway_StopsAtItsLeaseAndIsDoneAfterwards(RedisKind kind)
    {
        var (stopped, attempts) = (new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously), 0);
        var started = new Gate();
        started.Open();
        var square = TestJobs.Square(async (_, _, token) =>
        {
            if (Interlocked.Increment(ref attempts) > 1) return;
            await started.PassAsync(token);
            using var _ = token.Register(stopped.SetResult);
            await TestJobs.Forever(token);
        });
        await using var server = await RedisBackend.StartAsync(kind);
        await using var cluster = await RedisPoolCluster.StartAsync(server, 1, options => options.Lease = s_lease, square);
        var job = await cluster.Pool.SubmitAsync(square, 5, TestStop);
        await started.Reached;

        await server.PauseAsync();
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(1), TimeProvider.System);
        var waiting = await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await cluster.Pool.SubmitAsync(square, 6, patience.Token));
        Assert.Equal(patience.Token, waiting.CancellationToken);
        await stopped.Task.WaitAsync(s_limit, TimeProvider.System, TestStop);
        await server.ResumeAsync();

        Assert.Equal(25, await job.ResultAsync(TestStop));
        Assert.Equal(49, await (await cluster.Pool.SubmitAsync(square, 7, TestStop)).ResultAsync(TestStop));
        Assert.True((await cluster.Pool.GetSnapshotAsync(TestStop)).Ledger.AddsUp);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Submit_WhileRedisIsAwayLongerThanAllowed_FailsWithItsError()
    {
        await using var server = await RedisBackend.StartAsync(RedisKind.Redis);
        var square = TestJobs.Square();
        await using var cluster = await RedisPoolCluster.StartAsync(server, 1, options => options.RetryFor = TimeSpan.FromSeconds(1), square);

        await server.KillAsync();
        var error = await Assert.ThrowsAnyAsync<Exception>(async () => await cluster.Pool.SubmitAsync(square, 6, TestStop));
        await server.RestartAsync();

        Assert.True(error is RedisException or TimeoutException, $"{error}");
        await Eventually.TrueAsync(
            async () =>
            {
                try
                {
                    return await (await cluster.Pool.SubmitAsync(square, 7, TestStop)).ResultAsync(TestStop) == 49;
                }
                catch (Exception error) when (RedisRetry.IsOutage(error))
                {
                    return false; // not connected again yet
                }
            }, s_limit, () => "the pool does not recover");
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(RedisKind.Garnet)]
    [InlineData(RedisKind.Redis)]
    public async Task Submit_WhoseProcessLeaves_IsRunAndFoundByAnyOther(RedisKind kind)
    {
        var gate = new Gate();
        var square = TestJobs.Gated(gate);
        await using var server = await RedisBackend.StartAsync(kind);
        await using var cluster = await RedisPoolCluster.StartAsync(server, 1, null, square);
        var leaving = await cluster.AddSubmitterAsync();
        var job = await leaving.SubmitAsync(square, square.With(6), TestStop);
        await cluster.CutOffAsync(leaving);
        gate.Open();

        Assert.Equal(36, square.ResultOf(await cluster.Pool.WaitAsync(job.Id, TestStop)));
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(RedisKind.Garnet)]
    [InlineData(RedisKind.Redis)]
    public async Task Stop_OfAHostWithWorkers_HandsItsJobsBackAndTheAttemptDoesNotCount(RedisKind kind)
    {
        var gate = new Gate();
        var workers = new List<string>();
        var square = TestJobs.Square(async (_, context, token) =>
        {
            lock (workers) workers.Add(context.Worker);
            await gate.PassAsync(token);
        });
        await using var server = await RedisBackend.StartAsync(kind);
        await using var cluster = await RedisPoolCluster.StartAsync(server, 0, null, square);
        var first = await cluster.AddWorkerAsync("first", options => (options.ShutdownLimit, options.StopGrace) = (TimeSpan.FromMilliseconds(200), TimeSpan.FromSeconds(20)));
        var job = await cluster.Pool.SubmitAsync(square, 8, TestStop);
        await gate.Reached;

        await first.StopAsync(TestStop);
        var between = await cluster.Pool.FindAsync(job.Id, TestStop);
        Assert.Equal((JobState.Queued, 0), (between!.State, between.Attempts));
        await cluster.AddWorkerAsync("second");
        gate.Open();

        Assert.Equal(64, await job.ResultAsync(TestStop));
        Assert.Equal(1, (await job.WaitAsync(TestStop)).Attempts);
        Assert.Equal(["first", "second"], workers.Select(worker => worker.Split('-')[0]));
        await Eventually.TrueAsync(
            async () => (await cluster.Pool.GetSnapshotAsync(TestStop)).Workers is [{ Name: var name }] && name.StartsWith("second-", StringComparison.Ordinal),
            s_limit, () => "the first is still listed, or the second is not");
    }

    public ValueTask InitializeAsync() => default;

    public async ValueTask DisposeAsync()
    {
        foreach (var process in _processes) await process.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    private static CancellationToken TestStop => TestContext.Current.CancellationToken;

    private static Task<RedisPoolCluster> StartAsync(RedisBackend server) =>
        RedisPoolCluster.StartAsync(server, 0, options => options.Lease = s_lease, FaultJobs.Traced, FaultJobs.Deadly);

    /// <summary>Submits a job and waits until somebody runs it.</summary>
    private async Task<(JobHandle<int> Job, Trace Trace)> SubmitAsync(RedisPoolCluster cluster, bool ignoresItsToken = false, bool waits = true)
    {
        var trace = new Trace(Path.Combine(_folder, $"{Guid.NewGuid():N}"), ignoresItsToken);
        var job = await cluster.Pool.SubmitAsync(FaultJobs.Traced, trace, TestStop);
        if (waits) await Eventually.TrueAsync(() => new FileInfo(trace.Path) is { Exists: true, Length: > 0 }, s_limit, () => $"nobody runs the job. They said:\n{Output}");
        return (job, trace);
    }

    private Task StartedAsync(Trace trace, WatchedProcess process) => Eventually.TrueAsync(
        async () => (await File.ReadAllLinesAsync(trace.Path, TestStop)).Any(line => line.StartsWith("start", StringComparison.Ordinal) && line.EndsWith($" {process.Pid}", StringComparison.Ordinal)),
        s_limit, () => $"the job does not start in process {process.Pid}. They said:\n{Output}");

    private static Task GoAsync(Trace trace) => File.WriteAllTextAsync(trace.Path + ".go", "", TestStop);

    /// <summary>Starts a process with one worker.</summary>
    /// <param name="expected">How many processes report once it is up; all that were started unless given, <see langword="null"/> not to wait.</param>
    private async Task<WatchedProcess> LaunchAsync(RedisBackend server, RedisPoolCluster cluster, int? expected = -1)
    {
        var process = await WatchedProcess.StartBuiltAsync("MemberProcess", new Dictionary<string, string>
        {
            ["ConnectionStrings__redis"] = server.ConnectionString,
            ["ASPNETCORE_URLS"] = "http://127.0.0.1:0",
            ["GRPC_PORT"] = "0",
            ["OTEL_SERVICE_NAME"] = "worker",
            ["Patterns__WorkerPool__Redis__KeyTag"] = cluster.KeyTag,
            ["Patterns__WorkerPool__Redis__Size"] = "1",
            ["Patterns__WorkerPool__Redis__Lease"] = s_lease.ToString("c", CultureInfo.InvariantCulture),
            ["Patterns__WorkerPool__Redis__ReportEvery"] = "00:00:00.1",
        });
        _processes.Add(process);
        if (expected is { } count)
        {
            await Eventually.TrueAsync(
                async () => (await cluster.Pool.GetSnapshotAsync(TestStop)).Workers.Count == (count < 0 ? _processes.Count : count), s_limit, () => $"it does not report. They said:\n{Output}");
        }
        return process;
    }

    private string Output => string.Join("\n---\n", _processes.Select(process => process.Output));
}
