using DistributedPatterns.MapReduce;
using DistributedPatterns.Tests.Support;

namespace DistributedPatterns.Tests.MapReduce;

// How jobs end, and what is not begun.
public abstract partial class MapReduceConformance
{
    [Fact(Timeout = HangLimit)]
    public async Task BadRecord_Stop_FailsTheJobAndNamesTheRecord()
    {
        await using var system = await CreateAsync();
        system.Write("bad.csv", "a;b;c\nd;e;f\nno fields\ng;h;i\n");

        var (end, result) = await system.RunAsync(new("field-count", "bad.csv"));

        Assert.Equal((MapReduceState.Failed, ""), (end.State, result));
        Assert.Contains("byte 12", end.Error, StringComparison.Ordinal);
        Assert.Contains("1 fields", end.Error, StringComparison.Ordinal);
        await HasNoFilesAsync(system);
    }

    [Fact(Timeout = HangLimit)]
    public async Task BadRecord_Skip_LeavesItOutAndCountsIt()
    {
        await using var system = await CreateAsync(options => options.MaxRecordBytes = 1_024);
        system.Write("bad.csv", $"a;b;c\nno fields\n{new string('x', 5_000)};y;z\nd;e;c\n{new string('x', 500_000)}\ng;h;i");

        var (end, result) = await system.RunAsync(new("field-count", "bad.csv") { OnBadRecord = BadRecordPolicy.Skip, SplitBytes = 1_024 });

        Assert.Equal((MapReduceState.Completed, "c\t2\ni\t1\n"), (end.State, result));
        Assert.Equal((6, 3, 3), (end.Report!.Records, end.Report.Skipped, end.Report.Emitted));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Start_WhatIsNotAccepted_IsNamed()
    {
        await using var system = await CreateAsync();
        var jobs = system.MapReduce;

        await Refused<UnknownMapReduceJobException>(new("word-cuont", "us-constitution"), "word-count, inverted-index, field-count");
        await Refused<MapReduceInputException>(new("word-count", "us-constituton"), "us-constitution.txt");
        await Refused<MapReduceInputException>(new("word-count", "../secret.txt"), "'../secret.txt'");
        await Refused<MapReduceRequestException>(new("word-count", "us-constitution") { Reducers = 0 }, "'reducers' takes a whole number from 1 to 64");
        await Refused<MapReduceRequestException>(new("word-count", "us-constitution") { Mappers = 257 }, "'mappers'");
        await Refused<MapReduceRequestException>(new("word-count", "us-constitution") { SplitBytes = 1_023 }, "'splitBytes'");
        await Refused<MapReduceRequestException>(new("word-count", "us-constitution") { Id = ".." }, "id");
        await Refused<MapReduceRequestException>(new("word-count", "us-constitution") { Parameters = One("field", "1") }, "no parameter 'field'");
        await Refused<MapReduceRequestException>(new("field-count", "us-constitution") { Parameters = One("field", "0") }, "'field' takes");
        await Refused<MapReduceRequestException>(new("field-count", "us-constitution") { Parameters = One("delimiter", "::") }, "'delimiter' takes");
        await Refused<MapReduceRequestException>(new("field-count", "us-constitution") { Parameters = One("delimiter", new string(';', 5_000)) }, "4096 characters");
        Assert.Equal(default, await jobs.GetStatsAsync(TestStop));

        async Task Refused<T>(MapReduceRequest request, string mention) where T : MapReduceException =>
            Assert.Contains(mention, (await Assert.ThrowsAsync<T>(() => jobs.StartAsync(request, TestStop))).Message, StringComparison.Ordinal);

        static Dictionary<string, string> One(string name, string value) => new() { [name] = value };
    }

    [Fact(Timeout = HangLimit)]
    public async Task Start_TheSameIdAgain_RunsOnce()
    {
        await using var system = await CreateAsync();
        var request = new MapReduceRequest("field-count", "unicode-data") { Id = "same", Parameters = new Dictionary<string, string> { ["field"] = "3" } };

        await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => system.MapReduce.StartAsync(request, TestStop)));
        var (end, _) = await system.RunAsync(request);

        Assert.Equal((MapReduceState.Completed, 1L), (end.State, (await system.MapReduce.GetStatsAsync(TestStop)).Started));
        await Assert.ThrowsAsync<MapReduceConflictException>(() => system.MapReduce.StartAsync(request with { Reducers = 2 }, TestStop));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Unknown_Id_IsNothing()
    {
        await using var system = await CreateAsync();

        Assert.Null(await system.MapReduce.FindAsync("nobody", TestStop));
        Assert.Null(await system.MapReduce.WaitAsync("nobody", TestStop));
        Assert.Null(await system.MapReduce.OpenResultAsync("nobody", TestStop));
        Assert.False(await system.MapReduce.CancelAsync("nobody", TestStop));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Cancel_InMidRun_EndsItAndLeavesNothing()
    {
        using var gate = new ManualResetEventSlim();
        await using var system = await CreateAsync(null, new LongestLineJob(before: offset => { if (offset > 20_000) gate.Wait(TestStop); }));
        var started = await system.MapReduce.StartAsync(new("longest-line", "us-constitution") { SplitBytes = 1_024 }, TestStop);
        await Eventually.TrueAsync(async () => (await system.MapReduce.FindAsync(started.Id, TestStop))!.Maps.Done > 0, Limit, () => "nothing is mapped");

        Assert.True(await system.MapReduce.CancelAsync(started.Id, TestStop));
        gate.Set();
        var end = await system.MapReduce.WaitAsync(started.Id, TestStop);

        Assert.Equal((MapReduceState.Cancelled, null), (end!.State, end.Report));
        Assert.Null(await system.MapReduce.OpenResultAsync(started.Id, TestStop));
        Assert.False(await system.MapReduce.CancelAsync(started.Id, TestStop));
        await HasNoFilesAsync(system);
        await Eventually.TrueAsync(
            async () => await system.MapReduce.GetStatsAsync(TestStop) == new MapReduceStats(1, 0, 0, 0, 0, 1), Limit, () => "the counts do not add up");
    }

    [Fact(Timeout = HangLimit)]
    public async Task Start_AsManyAsAllowedAreOpen_IsRefused_UntilOneHasEnded()
    {
        using var gate = new ManualResetEventSlim();
        await using var system = await CreateAsync(options => options.MaxJobs = 2, new LongestLineJob(before: _ => gate.Wait(TestStop)));
        var request = new MapReduceRequest("longest-line", "us-constitution");
        await system.MapReduce.StartAsync(request with { Id = "first" }, TestStop);
        await system.MapReduce.StartAsync(request with { Id = "second" }, TestStop);

        var full = await Assert.ThrowsAsync<MapReduceFullException>(() => system.MapReduce.StartAsync(request, TestStop));
        Assert.Equal(2, full.Limit);
        gate.Set();
        Assert.Equal(MapReduceState.Completed, (await system.MapReduce.WaitAsync("first", TestStop))!.State);
        Assert.Equal(MapReduceState.Completed, (await system.MapReduce.WaitAsync("second", TestStop))!.State);

        MapReduceStatus? third = null;
        await Eventually.TrueAsync(async () =>
        {
            try
            {
                return (third = await system.MapReduce.StartAsync(request, TestStop)) is not null;
            }
            catch (MapReduceFullException)
            {
                return false;
            }
        }, Limit, () => "there is no room");
        Assert.Equal(MapReduceState.Completed, (await system.MapReduce.WaitAsync(third!.Id, TestStop))!.State);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Completed_Job_KeepsItsResultAndNothingElse()
    {
        await using var system = await CreateAsync();

        var (end, _) = await system.RunAsync(new("word-count", "us-constitution") { SplitBytes = 4_096 });

        await Eventually.TrueAsync(() => system.WorkFiles.Count == 1, Limit, () => string.Join(", ", system.WorkFiles));
        Assert.StartsWith("result-", system.WorkFiles[0], StringComparison.Ordinal);
        Assert.Equal(end, await system.MapReduce.FindAsync(end.Id, TestStop));
    }

    private static Task HasNoFilesAsync(MapReduceSystem system) =>
        Eventually.TrueAsync(() => system.WorkFiles.Count == 0, Limit, () => string.Join(", ", system.WorkFiles));
}
