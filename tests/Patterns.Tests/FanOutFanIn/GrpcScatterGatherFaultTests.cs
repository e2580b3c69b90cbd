using DistributedPatterns.FanOutFanIn;
using DistributedPatterns.Payloads;
using DistributedPatterns.Tests.Pipeline;
using DistributedPatterns.Tests.Support;

namespace DistributedPatterns.Tests.FanOutFanIn;

/// <summary>What only <see cref="GrpcScatterGather"/> promises: the same answers when workers die, freeze or lose their connection.</summary>
public sealed class GrpcScatterGatherFaultTests
{
    private const int HangLimit = 60_000;
    private const int Count = 20_000;

    public enum Fault
    {
        Dies,

        /// <summary>Its lease runs out while it lives on.</summary>
        IsExpired,

        /// <summary>Its connections break; it is there again at once.</summary>
        IsCutOff,

        /// <summary>It says nothing any more, and its lease runs out.</summary>
        Freezes,
    }

    private static CancellationToken TestStop => TestContext.Current.CancellationToken;

    public static TheoryData<Fault, GatherOrder> Faults => new MatrixTheoryData<Fault, GatherOrder>(Enum.GetValues<Fault>(), Enum.GetValues<GatherOrder>());

    [Theory(Timeout = HangLimit)]
    [MemberData(nameof(Faults))]
    public async Task Scatter_AWorkerIsLostInMidCall_GivesTheSameAnswers(Fault fault, GatherOrder order)
    {
        var gate = new Gate();
        var asked = 0;
        // The first worker to reach the middle halts there, with more behind it; the second one to have the item does not.
        var branch = TestBranches.Square(async (item, token) =>
        {
            if (item % 50 == 0) await Task.Yield();
            if (item == Count / 2 && Interlocked.Increment(ref asked) == 1) await gate.PassAsync(token);
        });
        await using var cluster = await FanOutCluster.StartAsync([branch], workers: 2, options => options.MaxAttempts = 10);
        await using var proxy = new CuttableProxy(new Uri(cluster.Nodes[0].App.Urls.Single()));
        var behind = cluster.Join(proxy.Address); // the first worker once more, through a wire that can be cut
        cluster.Expire(cluster.Nodes[0].Member);
        var gather = cluster.Scatter.Scatter<int, long>("square", [.. Enumerable.Range(0, Count)], new ScatterOptions<int> { Degree = 4, Order = order });
        var all = ToListAsync(gather);
        await gate.Reached;

        switch (fault)
        {
            case Fault.Dies:
                await Task.WhenAll(cluster.Nodes.ToArray().Select(cluster.KillAsync)); // whichever has it
                cluster.Expire(behind);
                await cluster.AddAsync();
                break;
            case Fault.IsExpired:
                cluster.Expire(behind);
                cluster.Expire(cluster.Nodes[1].Member);
                await cluster.AddAsync();
                break;
            case Fault.IsCutOff:
                proxy.Cut();
                break;
            case Fault.Freezes:
                proxy.Freeze();
                cluster.Expire(behind);
                break;
        }
        gate.Open(); // in a worker that is lost it answers nobody; in one that is not, it goes on

        var results = await all;
        Assert.Equal(Enumerable.Range(0, Count).Select(i => (long)i), order == GatherOrder.AsAsked ? results.Select(r => r.Index) : results.Select(r => r.Index).Order());
        Assert.All(results, result => Assert.Equal(result.Index * result.Index, result.Value));
        Assert.All(results, result => Assert.InRange(result.Attempt, 1, 10));
        Assert.Equal((Count, 0L, 0L), (gather.Report.Done, gather.Report.Failed, gather.Report.Missing));
        if (fault is Fault.Dies or Fault.IsExpired) Assert.InRange(gather.Report.Retried, 1, Count);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Scatter_EveryWorkerIsGone_SaysSoWithinTheLimit()
    {
        var gate = new Gate();
        await using var cluster = await FanOutCluster.StartAsync([TestBranches.Square(async (_, token) => await gate.PassAsync(token))],
            workers: 2, options => options.MemberWait = TimeSpan.FromSeconds(1));
        var gather = cluster.Scatter.Scatter<int, long>("square", [1, 2, 3, 4]);
        var all = ToListAsync(gather);
        await gate.Reached;

        foreach (var node in cluster.Nodes.ToArray()) await cluster.KillAsync(node);

        var error = await Assert.ThrowsAsync<NoWorkerException>(() => all);
        Assert.Equal(TimeSpan.FromSeconds(1), error.Waited);
        Assert.Equal((4L, 4L), (error.Report.Asked, error.Report.Missing));
        Assert.Contains("No worker", error.Message, StringComparison.Ordinal);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Scatter_NobodyIsThereAtTheDeadline_SaysThatNobodyIsThere()
    {
        await using var cluster = await FanOutCluster.StartAsync([TestBranches.QuickSquare()], workers: 0);

        await Assert.ThrowsAsync<NoWorkerException>(() => cluster.Scatter
            .Scatter<int, long>("square", [1], new ScatterOptions<int> { Deadline = TimeSpan.FromMilliseconds(300) }).WholeAsync(TestStop));
        Assert.Empty((await cluster.Scatter.Scatter<int, long>("square", []).WholeAsync(TestStop)).Results); // nothing to do, nobody needed
    }

    [Fact(Timeout = HangLimit)]
    public async Task Scatter_NobodyIsThereYet_WaitsForTheFirstWorker()
    {
        await using var cluster = await FanOutCluster.StartAsync([TestBranches.QuickSquare()], workers: 0);
        var all = cluster.Scatter.Scatter<int, long>("square", [.. Enumerable.Range(0, 100)]).WholeAsync(TestStop);

        await cluster.AddAsync();

        Assert.Equal(100, (await all).Report.Done);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Scatter_AnItemWhoseWorkersAreAllLost_FailsAfterTheLastAttempt()
    {
        var gates = new[] { new Gate(), new Gate() };
        var tries = 0;
        await using var cluster = await FanOutCluster.StartAsync([TestBranches.Square(async (item, token) =>
        {
            if (item == 3) await gates[Interlocked.Increment(ref tries) - 1].PassAsync(token);
        })], workers: 1, options => options.MaxAttempts = 2);
        var gather = cluster.Scatter.Scatter<int, long>("square", [.. Enumerable.Range(0, 6)], new ScatterOptions<int> { OnError = BranchErrorPolicy.Collect });
        var all = gather.WholeAsync(TestStop);

        foreach (var gate in gates)
        {
            await gate.Reached;
            // All others first, so that only this item is lost with its worker.
            await Eventually.TrueAsync(() => gather.Report.Done == 5, TimeSpan.FromSeconds(20), () => $"{gather.Report.Done} are done");
            var lost = cluster.Nodes[0];
            await cluster.AddAsync();
            await cluster.KillAsync(lost);
        }

        var failed = Assert.Single((await all).Failed);
        Assert.Equal((3L, 2), (failed.Index, Assert.IsType<BranchLostException>(failed.Error).Attempts));
        Assert.Equal((5L, 1L, 0L), (gather.Report.Done, gather.Report.Failed, gather.Report.Missing));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Scatter_OneWorkerIsSlow_GetsLittle()
    {
        await using var cluster = await FanOutCluster.StartAsync([TestBranches.QuickSquare()], workers: 2);
        await cluster.AddAsync(TestBranches.Square(async (_, token) => await Task.Delay(TimeSpan.FromMilliseconds(150), TimeProvider.System, token)));

        var all = await cluster.Scatter.Scatter<int, long>("square", [.. Enumerable.Range(0, 60_000)], new ScatterOptions<int> { Degree = 6 }).WholeAsync(TestStop);

        Assert.Equal(60_000, all.Report.Done);
        Assert.InRange(all.Report.Workers.FirstOrDefault(share => share.Worker == "worker-3")?.Answered ?? 0, 0, 200);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Scatter_TheOnlyWorkerPassesEverythingOn_GetsItAgain()
    {
        // A worker does so when none of its loops got a thread for a while: nothing is slow there, nothing will end there.
        await using var cluster = await FanOutCluster.StartAsync([TestBranches.QuickSquare()], workers: 0);
        await cluster.AddAsync<WorkerThatPassesOn>();

        var all = await cluster.Scatter.Scatter<int, long>("square", [.. Enumerable.Range(0, 100)], new ScatterOptions<int> { Degree = 1 }).WholeAsync(TestStop);

        Assert.Equal(Enumerable.Range(0, 100).Select(i => (long)i * i), all.Results.Select(result => result.Value));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Scatter_TheOnlyWorkerHangsAtOneItemAndPassesOthersOn_GetsThemAgain()
    {
        // It has a second loop, which had no thread when it came to them.
        await using var cluster = await FanOutCluster.StartAsync([TestBranches.QuickSquare()], workers: 0);
        await cluster.AddAsync<WorkerThatHangsAtOne>();

        var all = await cluster.Scatter.Scatter<int, long>(
            "square", [.. Enumerable.Range(0, 100)], new ScatterOptions<int> { Degree = 2, OnError = BranchErrorPolicy.Collect }).WholeAsync(TestStop);

        Assert.Equal(0, Assert.Single(all.Failed).Index);
        Assert.Equal(99, all.Report.Done);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Scatter_AWorkerDoesNotKnowTheBranch_SaysWhichAndWhat()
    {
        await using var cluster = await FanOutCluster.StartAsync([TestBranches.QuickSquare()], workers: 0);
        await cluster.AddAsync(TestBranches.Shout());

        var error = await Assert.ThrowsAsync<UnknownBranchException>(() => cluster.Scatter.Scatter<int, long>("square", [1, 2]).WholeAsync(TestStop));

        Assert.Contains("worker-1", error.Message, StringComparison.Ordinal);
        Assert.Contains("shout", error.Message, StringComparison.Ordinal);
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(60_000, 400, null)] // 256 of them would be 15 MB in one message
    [InlineData(3_000_000, 6, null)]
    [InlineData(5_000_000, 4, "It takes 5,000,004 bytes")]
    public async Task Scatter_OfLargeItems_CutsMessagesAndNamesTheItemThatIsTooLarge(int bytes, int count, string? reason)
    {
        var echo = new BranchDefinition<byte[], byte[]>("echo", PayloadCodec.Bytes, PayloadCodec.Bytes, static (blob, _) => new(blob));
        await using var cluster = await FanOutCluster.StartAsync([echo]);
        byte[][] blobs = [.. Enumerable.Range(0, count).Select(i => new byte[i == 2 ? bytes : bytes / 2])];

        var all = await cluster.Scatter.Scatter<byte[], byte[]>("echo", blobs, new ScatterOptions<byte[]> { OnError = BranchErrorPolicy.Collect }).WholeAsync(TestStop);

        Assert.All(all.Results.Where(result => result.Error is null), result => Assert.Equal(blobs[result.Index].Length, result.Value.Length));
        if (reason is null) Assert.Empty(all.Failed);
        else Assert.Equal((2L, true), (Assert.Single(all.Failed).Index, all.Failed.Single().Error!.Reason.StartsWith(reason, StringComparison.Ordinal)));
    }

    [Fact(Timeout = HangLimit)]
    public async Task First_TheFirstCandidatesWorkerIsLost_AnotherWorkerIsAsked()
    {
        var tries = 0;
        var gate = new Gate();
        await using var cluster = await FanOutCluster.StartAsync([TestBranches.Square(async (_, token) =>
        {
            if (Interlocked.Increment(ref tries) == 1) await gate.PassAsync(token);
        })], workers: 1);
        var first = cluster.Scatter.FirstAsync<int, long>("square", [7], cancellationToken: TestStop);
        await gate.Reached;

        var lost = cluster.Nodes[0];
        await cluster.AddAsync();
        await cluster.KillAsync(lost);

        Assert.Equal((49L, 2, "worker-2"), ((await first).Result.Value, (await first).Result.Attempt, (await first).Result.Worker));
    }

    [Fact(Timeout = HangLimit)]
    public async Task First_OfSeveral_AsksDifferentWorkers()
    {
        var crowd = new Crowd();
        await using var cluster = await FanOutCluster.StartAsync([TestBranches.Square(async (_, _) =>
        {
            crowd.Enter();
            await Eventually.TrueAsync(() => crowd.Most >= 3, TimeSpan.FromSeconds(20), () => "not all were asked");
        })], configure: options => options.DegreePerWorker = 1);

        var first = await cluster.Scatter.FirstAsync<int, long>("square", [5, 5, 5], new FirstOptions { Start = FirstStart.Together }, TestStop);

        Assert.Equal((25L, 3), (first.Result.Value, crowd.Most));
    }

    private static async Task<List<BranchResult<long>>> ToListAsync(IGather<long> gather)
    {
        var results = new List<BranchResult<long>>();
        await foreach (var result in gather.WithCancellation(TestStop)) results.Add(result);
        return results;
    }
}
