using DistributedPatterns.MapReduce;
using DistributedPatterns.Tests.Support;

namespace DistributedPatterns.Tests.MapReduce;

/// <summary>What becomes of a job when those who do it die, freeze or lose what they made: the same result, or a clear error.</summary>
public abstract class RedisMapReduceFaultTests(SharedRedis shared, RedisKind kind)
{
    private const int HangLimit = 120_000;

    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(60);
    private static readonly MapReduceRequest s_lines = new("longest-line", "us-constitution") { SplitBytes = 2_048, Reducers = 3 };

    // Where somebody dies, the others wait so long for what it held.
    private static readonly Action<MapReduceOptions> s_dying = options => ((RedisMapReduceOptions)options).Lease = TimeSpan.FromSeconds(2);

    private static CancellationToken TestStop => TestContext.Current.CancellationToken;

    [Fact(Timeout = HangLimit)]
    public async Task Mapper_DiesWithASplit_AnotherOneMapsIt()
    {
        var hold = new Hold(offset: 20_000);
        await using var system = await StartAsync(s_dying, mappers: 1, jobs: new LongestLineJob(before: hold.Before));
        var first = await system.MapReduce.StartAsync(s_lines, TestStop);
        await hold.Reached.WaitAsync(TestStop);
        var dying = system.Mappers[0];

        await dying.CutOffAsync();
        await system.AddMapperAsync();
        var end = await system.MapReduce.WaitAsync(first.Id, TestStop);
        hold.Release();

        await IsRightAsync(system, end!);
        Assert.InRange(end!.Report!.Repeated, 1, 10);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Mapper_IsSlow_ASecondAttemptEndsTheJob_AndTheFirstIsDiscarded()
    {
        var hold = new Hold(offset: 40_000);
        await using var system = await StartAsync(options => ((RedisMapReduceOptions)options).BackupAfter = TimeSpan.FromMilliseconds(200), mappers: 2, jobs: new LongestLineJob(before: hold.Before));
        var started = await system.MapReduce.StartAsync(s_lines, TestStop);
        await hold.Reached.WaitAsync(TestStop);

        // It holds its lease all the while: nothing but a second attempt can end the job.
        var end = await system.MapReduce.WaitAsync(started.Id, TestStop);
        hold.Release();

        await IsRightAsync(system, end!);
        Assert.InRange(end!.Report!.Backups, 1, 10); // a held-up machine has slow ones of its own
        await Eventually.TrueAsync(() => system.WorkFiles.Count == 1, s_limit, () => string.Join(", ", system.WorkFiles));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Output_OfAMapper_IsLostBeforeItIsReduced_IsMadeAgain()
    {
        await using var system = await StartAsync(null, reducers: 0);
        var started = await system.MapReduce.StartAsync(s_lines, TestStop);
        await Eventually.TrueAsync(async () => (await system.MapReduce.FindAsync(started.Id, TestStop))!.State == MapReduceState.Reducing, s_limit, () => "not everything is mapped");
        var outputs = Directory.GetFiles(Path.Combine(system.Work, started.Id), "map-*").Order().ToArray();
        File.Delete(outputs[3]);
        using (var cut = new FileStream(outputs[7], FileMode.Open)) cut.SetLength(cut.Length - 5);

        await system.AddReducerAsync();
        var end = await system.MapReduce.WaitAsync(started.Id, TestStop);

        await IsRightAsync(system, end!);
        Assert.InRange(end!.Report!.Repeated, 2, 100);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Commits_AreLostByRedis_TheirTasksAreDoneAgain()
    {
        var hold = new Hold(offset: 40_000);
        await using var system = await StartAsync(null, jobs: new LongestLineJob(before: hold.Before));
        var started = await system.MapReduce.StartAsync(s_lines with { Mappers = 2 }, TestStop);
        await hold.Reached.WaitAsync(TestStop);
        await using var redis = await (await shared.OfAsync(kind)).ConnectAsync();

        Assert.True(await redis.GetDatabase().KeyDeleteAsync($"{{{system.KeyTag}}}:maps:{started.Id}"));
        hold.Release();

        await IsRightAsync(system, (await system.MapReduce.WaitAsync(started.Id, TestStop))!);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Reducer_DiesWithAPartition_AnotherOneReducesIt()
    {
        await using var system = await StartAsync(s_dying, reducers: 0);
        var started = await system.MapReduce.StartAsync(s_lines with { Reducers = 64 }, TestStop);
        await Eventually.TrueAsync(async () => (await system.MapReduce.FindAsync(started.Id, TestStop))!.State == MapReduceState.Reducing, s_limit, () => "not everything is mapped");
        var dying = await system.AddReducerAsync();
        await Eventually.TrueAsync(async () => (await system.MapReduce.FindAsync(started.Id, TestStop))!.Reduces.Done > 3, s_limit, () => "nothing is reduced");

        await dying.CutOffAsync();
        await system.AddReducerAsync();

        await IsRightAsync(system, (await system.MapReduce.WaitAsync(started.Id, TestStop))!);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Coordinator_Dies_AnotherOneGoesOnFromTheCommits()
    {
        var hold = new Hold(offset: 20_000);
        await using var system = await StartAsync(s_dying, jobs: new LongestLineJob(before: hold.Before));
        var started = await system.MapReduce.StartAsync(s_lines, TestStop);
        await hold.Reached.WaitAsync(TestStop);
        var before = (await system.MapReduce.FindAsync(started.Id, TestStop))!;

        await system.Coordinators[0].CutOffAsync();
        await system.AddCoordinatorAsync();
        await Eventually.TrueAsync(async () => (await system.MapReduce.FindAsync(started.Id, TestStop))!.Maps.Done >= before.Maps.Done, s_limit, () => "commits are gone");
        hold.Release();
        var end = await system.MapReduce.WaitAsync(started.Id, TestStop);

        await IsRightAsync(system, end!);
        Assert.InRange(end!.Report!.Attempts, 2, 10);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Coordinator_Stops_HandsTheJobOnAtOnce()
    {
        var hold = new Hold(offset: 20_000);
        await using var system = await StartAsync(options => ((RedisMapReduceOptions)options).Lease = TimeSpan.FromMinutes(10), jobs: new LongestLineJob(before: hold.Before));
        var started = await system.MapReduce.StartAsync(s_lines, TestStop);
        await hold.Reached.WaitAsync(TestStop);

        await system.Coordinators[0].StopAsync();
        await system.AddCoordinatorAsync();
        hold.Release();

        await IsRightAsync(system, (await system.MapReduce.WaitAsync(started.Id, TestStop))!);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Task_ThatFailsInEveryAttempt_FailsTheJobAndSaysWhy()
    {
        await using var system = await StartAsync(
            options => ((RedisMapReduceOptions)options).MaxAttempts = 2,
            jobs: new LongestLineJob(before: offset => { if (offset > 20_000) throw new InvalidOperationException("The mapper has a bug."); }));

        var (end, result) = await system.RunAsync(s_lines);

        Assert.Equal((MapReduceState.Failed, ""), (end.State, result));
        Assert.Contains("after 2 attempts", end.Error, StringComparison.Ordinal);
        Assert.Contains("The mapper has a bug.", end.Error, StringComparison.Ordinal);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Input_ChangesInMidRun_FailsTheJob()
    {
        var hold = new Hold(offset: 3_000);
        await using var system = await StartAsync(null, mappers: 1, jobs: new LongestLineJob(before: hold.Before));
        system.Write("changing.txt", Plainly.Constitution);
        var started = await system.MapReduce.StartAsync(s_lines with { Input = "changing.txt" }, TestStop);
        await hold.Reached.WaitAsync(TestStop);

        system.Write("changing.txt", Plainly.Constitution + "one more line\n");
        hold.Release();
        var end = await system.MapReduce.WaitAsync(started.Id, TestStop);

        Assert.Equal(MapReduceState.Failed, end!.State);
        Assert.Contains("changed", end.Error, StringComparison.Ordinal);
    }

    private static async Task IsRightAsync(MapReduceSystem system, MapReduceStatus end)
    {
        Assert.Equal((MapReduceState.Completed, null), (end.State, end.Error));
        Assert.Equal(Plainly.LongestLine(Plainly.Constitution), await system.ReadAsync(end.Id));
    }

    private async Task<MapReduceSystem> StartAsync(Action<MapReduceOptions>? configure, int mappers = 2, int reducers = 2, IMapReduceJob? jobs = null) =>
        await MapReduceSystem.StartRedisAsync(await shared.OfAsync(kind), configure, mappers: mappers, reducers: reducers, jobs: jobs ?? new LongestLineJob());

    /// <summary>Holds the first mapper that comes to an offset, in the middle of its record; others pass.</summary>
    private sealed class Hold(long offset)
    {
        private readonly TaskCompletionSource _reached = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly ManualResetEventSlim _released = new();
        private int _held;

        public Task Reached => _reached.Task;

        public void Before(long at)
        {
            if (at < offset || Interlocked.Exchange(ref _held, 1) == 1) return;
            _reached.SetResult();
            _released.Wait(TestStop);
        }

        public void Release() => _released.Set();
    }
}

public sealed class RedisMapReduceFaultsOnGarnetTests(SharedRedis shared) : RedisMapReduceFaultTests(shared, RedisKind.Garnet);

public sealed class RedisMapReduceFaultsOnRedisTests(SharedRedis shared) : RedisMapReduceFaultTests(shared, RedisKind.Redis);
