using DistributedPatterns.FanOutFanIn;
using DistributedPatterns.Tests.Support;

namespace DistributedPatterns.Tests.FanOutFanIn;

/// <summary>Errors, deadlines, callers that leave.</summary>
public abstract partial class ScatterGatherConformance
{
    [Fact(Timeout = HangLimit)]
    public async Task Scatter_AnItemFails_StopsTheOthersAndNamesTheItem()
    {
        var crowd = new Crowd();
        var begun = 0;
        await using var host = await CreateAsync(TestBranches.Square(async (item, token) =>
        {
            Interlocked.Increment(ref begun);
            if (item == 3)
            {
                await Eventually.TrueAsync(() => crowd.Now == 3, s_soon, () => $"{crowd.Now} others run");
                throw new IOException("The disk is gone.");
            }
            crowd.Enter();
            try
            {
                await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, token); // its cancellation is no error of its own
            }
            finally
            {
                crowd.Leave();
            }
        }));
        var gather = host.Scatter.Scatter<int, long>("square", [.. Enumerable.Range(0, 100)], new ScatterOptions<int> { Degree = 4 });

        var error = await Assert.ThrowsAsync<BranchException>(() => gather.WholeAsync(TestStop));

        Assert.Equal(("square", 3L, "The disk is gone."), (error.Branch, error.Index, error.Reason));
        Assert.Equal((100L, 0L, 1L, 99L), (gather.Report.Asked, gather.Report.Done, gather.Report.Failed, gather.Report.Missing));
        await Eventually.TrueAsync(() => crowd.Now == 0, s_soon, () => $"{crowd.Now} still run");
        Assert.Equal(4, begun);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Scatter_CollectingErrors_GoesOnAndAddsUp()
    {
        await using var host = await CreateAsync(TestBranches.Square(static (item, _) => item % 10 == 0
            ? throw new InvalidOperationException($"No {item}.")
            : item % 10 == 1 ? throw new OperationCanceledException("by myself") : default));
        var options = new ScatterOptions<int> { OnError = BranchErrorPolicy.Collect, Order = GatherOrder.AsAsked };

        var all = await host.Scatter.Scatter<int, long>("square", [.. Enumerable.Range(0, 1_000)], options).WholeAsync(TestStop);

        Assert.Equal(1_000, all.Results.Count);
        Assert.Equal(Enumerable.Range(0, 1_000).Where(i => i % 10 <= 1).Select(i => (long)i), all.Failed.Select(failed => failed.Index));
        Assert.Equal("No 40.", all.Results[40].Error!.Reason);
        Assert.Equal("by myself", all.Results[41].Error!.Reason); // nobody cancelled: an error like any other
        Assert.Equal((800L, 200L, 0L), (all.Report.Done, all.Report.Failed, all.Report.Missing));
        AssertLedgerAddsUp(all.Report);
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(GatherOrder.AsCompleted)]
    [InlineData(GatherOrder.AsAsked)]
    public async Task Scatter_PartialAtTheDeadline_GivesWhatIsThereAndNamesWhatIsMissing(GatherOrder order)
    {
        await using var host = await CreateAsync(HangsAt(2, 3, 7));
        var options = new ScatterOptions<int> { Degree = 4, Deadline = TimeSpan.FromSeconds(10), AtDeadline = DeadlinePolicy.Partial, Order = order };
        var gather = host.Scatter.Scatter<int, long>("square", [.. Enumerable.Range(0, 10)], options);

        var results = await ToListAsync(gather);

        Assert.Equal([0, 1, 4, 5, 6, 8, 9], order == GatherOrder.AsAsked ? results.Select(result => result.Index) : results.Select(result => result.Index).Order());
        Assert.Equal([new MissingInputs(2, 2), new MissingInputs(7, 1)], gather.Report.MissingInputs);
        AssertLedgerAddsUp(gather.Report);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Scatter_LateAtTheDeadline_FailsAndSaysHowFarItGot()
    {
        await using var host = await CreateAsync(HangsAt(2));
        var gather = host.Scatter.Scatter<int, long>("square", [.. Enumerable.Range(0, 10)], new ScatterOptions<int> { Degree = 2, Deadline = TimeSpan.FromSeconds(10) });

        var error = await Assert.ThrowsAsync<ScatterDeadlineException>(() => gather.WholeAsync(TestStop));

        Assert.Equal(TimeSpan.FromSeconds(10), error.Limit);
        Assert.Equal((10L, 9L, 1L), (error.Report.Asked, error.Report.Done, error.Report.Missing));
        Assert.Equal([new MissingInputs(2, 1)], error.Report.MissingInputs);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Scatter_AnItemTakesLongerThanItsLimit_FailsThatItem()
    {
        await using var host = await CreateAsync(HangsAt(1));
        var options = new ScatterOptions<int> { Degree = 2, ItemLimit = TimeSpan.FromMilliseconds(300), OnError = BranchErrorPolicy.Collect };

        var all = await host.Scatter.Scatter<int, long>("square", [0, 1, 2], options).WholeAsync(TestStop);

        var failed = Assert.Single(all.Failed);
        Assert.Equal((1L, TimeSpan.FromMilliseconds(300)), (failed.Index, Assert.IsType<BranchTimeoutException>(failed.Error).Limit));
        Assert.Equal([0L, 4L], all.Values);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Scatter_TheCallerCancels_CancelsTheBranchesAndThrowsWithItsToken()
    {
        var (crowd, branch) = HangingCrowd();
        await using var host = await CreateAsync(branch);
        using var leave = CancellationTokenSource.CreateLinkedTokenSource(TestStop);
        var gather = host.Scatter.Scatter<int, long>("square", [.. Enumerable.Range(0, 10)], new ScatterOptions<int> { Degree = 3 });
        var all = gather.WholeAsync(leave.Token);
        await Eventually.TrueAsync(() => crowd.Now == 3, s_soon, () => $"{crowd.Now} run");

        await leave.CancelAsync();

        var error = await Assert.ThrowsAnyAsync<OperationCanceledException>(() => all);
        Assert.Equal(leave.Token, error.CancellationToken);
        await Eventually.TrueAsync(() => crowd.Now == 0, s_soon, () => $"{crowd.Now} still run");
        Assert.Equal((10L, 10L), (gather.Report.Asked, gather.Report.Missing));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Scatter_TheCallerLeavesTheEnumeration_CancelsTheBranches()
    {
        var (crowd, hanging) = HangingCrowd(from: 1);
        await using var host = await CreateAsync(hanging);
        var gather = host.Scatter.Scatter<int, long>("square", [.. Enumerable.Range(0, 10)], new ScatterOptions<int> { Degree = 3 });

        await foreach (var result in gather.WithCancellation(TestStop))
        {
            Assert.Equal(0, result.Index);
            await Eventually.TrueAsync(() => crowd.Now >= 1, s_soon, () => "nobody else runs");
            break;
        }

        await Eventually.TrueAsync(() => crowd.Now == 0, s_soon, () => $"{crowd.Now} still run");
        Assert.Equal((1L, 9L), (gather.Report.Done, gather.Report.Missing));
        Assert.Throws<InvalidOperationException>(() => gather.GetAsyncEnumerator(TestStop));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Scatter_TheSequenceFails_ThrowsItsErrorAsItIs()
    {
        await using var host = await CreateAsync(TestBranches.QuickSquare());

        await Assert.ThrowsAsync<EndOfStreamException>(() => host.Scatter.Scatter<int, long>("square", Numbers()).WholeAsync(TestStop));

        static async IAsyncEnumerable<int> Numbers()
        {
            yield return 1;
            await Task.Yield();
            throw new EndOfStreamException();
        }
    }

    [Fact]
    public async Task Scatter_OfAnUnknownBranchOrWrongTypesOrOptions_IsRefusedAtOnce()
    {
        await using var host = await CreateAsync(TestBranches.QuickSquare());

        Assert.Contains("square", Assert.Throws<UnknownBranchException>(() => host.Scatter.Scatter<int, long>("cube", [1])).Message, StringComparison.Ordinal);
        Assert.Contains("Int32 → Int64", Assert.Throws<UnknownBranchException>(() => host.Scatter.Scatter<string, long>("square", ["1"])).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentOutOfRangeException>(() => host.Scatter.Scatter<int, long>("square", [1], new ScatterOptions<int> { Degree = 0 }));
        Assert.Throws<ArgumentOutOfRangeException>(() => host.Scatter.Scatter<int, long>("square", [1], new ScatterOptions<int> { Capacity = 0 }));
        Assert.Throws<ArgumentOutOfRangeException>(() => host.Scatter.Scatter<int, long>("square", [1], new ScatterOptions<int> { Deadline = TimeSpan.Zero }));
        Assert.Throws<ArgumentOutOfRangeException>(() => host.Scatter.Scatter<int, long>("square", [1]).Degree = 1_025);
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(FirstStart.Together)]
    [InlineData(FirstStart.Hedged)]
    public async Task First_OneIsSlow_AnotherWinsAndTheLoserIsCancelled(FirstStart start)
    {
        var (crowd, branch) = HangingCrowd(to: 1);
        await using var host = await CreateAsync(branch);

        var first = await host.Scatter.FirstAsync<int, long>("square", [0, 5], new FirstOptions { Start = start, FirstDelay = TimeSpan.FromMilliseconds(50) }, TestStop);

        Assert.Equal((1L, 25L, 2), (first.Result.Index, first.Result.Value, first.Started));
        Assert.Equal((2L, 1L, 1L), (first.Report.Asked, first.Report.Done, first.Report.Missing));
        await Eventually.TrueAsync(() => crowd.Now == 0, s_soon, () => "the loser still runs");
    }

    [Fact(Timeout = HangLimit)]
    public async Task First_TheFirstIsQuick_NobodyElseIsAsked()
    {
        await using var host = await CreateAsync(TestBranches.QuickSquare());

        var first = await host.Scatter.FirstAsync<int, long>("square", [3, 4, 5], new FirstOptions { FirstDelay = TimeSpan.FromSeconds(30) }, TestStop);

        Assert.Equal((0L, 9L, 1), (first.Result.Index, first.Result.Value, first.Started));
        Assert.Equal(TimeSpan.FromSeconds(30), first.HedgeDelay);
    }

    [Fact(Timeout = HangLimit)]
    public async Task First_OneFails_TheNextIsAskedAtOnce()
    {
        await using var host = await CreateAsync(TestBranches.Square(static (item, _) => item < 2 ? throw new IOException($"Not {item}.") : default));
        var options = new FirstOptions { FirstDelay = TimeSpan.FromHours(1) };

        var first = await host.Scatter.FirstAsync<int, long>("square", [0, 1, 2, 3], options, TestStop);
        var error = await Assert.ThrowsAsync<BranchException>(() => host.Scatter.FirstAsync<int, long>("square", [0, 1], options, TestStop));

        Assert.Equal((2L, 4L, 3, 2L), (first.Result.Index, first.Result.Value, first.Started, first.Report.Failed));
        Assert.StartsWith("Not ", error.Reason, StringComparison.Ordinal);
    }

    [Fact(Timeout = HangLimit)]
    public async Task First_NobodyInTime_FailsAtTheDeadline()
    {
        var (crowd, branch) = HangingCrowd();
        await using var host = await CreateAsync(branch);
        var options = new FirstOptions { FirstDelay = TimeSpan.FromMilliseconds(50), Deadline = TimeSpan.FromSeconds(1) };

        var error = await Assert.ThrowsAsync<ScatterDeadlineException>(() => host.Scatter.FirstAsync<int, long>("square", [0, 1, 2], options, TestStop));

        Assert.Equal((TimeSpan.FromSeconds(1), 3L, 0L), (error.Limit, error.Report.Missing, error.Report.Done));
        await Eventually.TrueAsync(() => crowd.Now == 0, s_soon, () => "somebody still runs");
    }

    [Fact(Timeout = HangLimit)]
    public async Task First_TheCallerCancels_CancelsAllAndThrowsWithItsToken()
    {
        var (crowd, branch) = HangingCrowd();
        await using var host = await CreateAsync(branch);
        using var leave = CancellationTokenSource.CreateLinkedTokenSource(TestStop);
        var first = host.Scatter.FirstAsync<int, long>("square", [0, 1, 2], new FirstOptions { Start = FirstStart.Together }, leave.Token);
        await Eventually.TrueAsync(() => crowd.Now == 3, s_soon, () => $"{crowd.Now} run");

        await leave.CancelAsync();

        Assert.Equal(leave.Token, (await Assert.ThrowsAnyAsync<OperationCanceledException>(() => first)).CancellationToken);
        await Eventually.TrueAsync(() => crowd.Now == 0, s_soon, () => "somebody still runs");
    }

    [Fact(Timeout = HangLimit)]
    public async Task First_OfNoneOrTooMany_IsRefused()
    {
        await using var host = await CreateAsync(TestBranches.QuickSquare());

        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => host.Scatter.FirstAsync<int, long>("square", [], cancellationToken: TestStop));
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => host.Scatter.FirstAsync<int, long>("square", new int[12], cancellationToken: TestStop));
    }

    private static BranchDefinition<int, long> HangsAt(params int[] items) => TestBranches.Square(async (item, token) =>
    {
        if (items.Contains(item)) await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, token);
    });

    private static (Crowd Crowd, BranchDefinition<int, long> Branch) HangingCrowd(int from = 0, int to = int.MaxValue)
    {
        var crowd = new Crowd();
        return (crowd, TestBranches.Square(async (item, token) =>
        {
            if (item < from || item >= to) return;
            crowd.Enter();
            try
            {
                await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, token);
            }
            finally
            {
                crowd.Leave();
            }
        }));
    }
}
