using DistributedPatterns.FanOutFanIn;
using DistributedPatterns.Tests.Pipeline;
using DistributedPatterns.Tests.Support;

namespace DistributedPatterns.Tests.FanOutFanIn;

/// <summary>What every variant of <see cref="IScatterGather"/> keeps.</summary>
public abstract partial class ScatterGatherConformance
{
    /// <summary>Far above what any test takes: a limit for hangs, in milliseconds.</summary>
    protected const int HangLimit = 60_000;

    private static readonly TimeSpan s_soon = TimeSpan.FromSeconds(20);

    protected static CancellationToken TestStop => TestContext.Current.CancellationToken;

    /// <summary>Makes the variant under test, with these branches registered in every process that it uses.</summary>
    protected abstract ValueTask<ScatterGatherHost> CreateAsync(params BranchDefinition[] branches);

    protected static void AssertLedgerAddsUp(GatherReport report)
    {
        Assert.Equal(report.Asked, report.Done + report.Failed + report.Missing);
        Assert.Equal(report.Missing, report.MissingInputs.Sum(stretch => stretch.Count));
        Assert.Equal(report.Done + report.Failed, report.Workers.Sum(share => share.Answered));
    }

    [Theory(Timeout = HangLimit)]
    [CombinatorialOrders(0, 1, 7, 1_000, 30_000)]
    public async Task Scatter_OfAList_AnswersEachInputOnce(int count, GatherOrder order)
    {
        await using var host = await CreateAsync(TestBranches.QuickSquare(), TestBranches.Shout());
        var gather = host.Scatter.Scatter<int, long>("square", [.. Enumerable.Range(0, count)], new ScatterOptions<int> { Order = order });

        var results = await ToListAsync(gather);

        AssertSquares(results, count, order);
        AssertLedgerAddsUp(gather.Report);
        Assert.Equal((count, (long)count, 0L, 0L), (results.Count, gather.Report.Done, gather.Report.Failed, gather.Report.Missing));
    }

    [Theory(Timeout = HangLimit)]
    [CombinatorialOrders(0, 1, 1_000, 10_000)]
    public async Task Scatter_OfASequence_AnswersEachInputOnce(int count, GatherOrder order)
    {
        await using var host = await CreateAsync(TestBranches.QuickSquare());
        var gather = host.Scatter.Scatter<int, long>("square", Numbers(), new ScatterOptions<int> { Order = order });

        AssertSquares(await ToListAsync(gather), count, order);
        Assert.Equal((long)count, gather.Report.Done);

        async IAsyncEnumerable<int> Numbers()
        {
            for (var i = 0; i < count; i++)
            {
                if (i % 100 == 0) await Task.Yield();
                yield return i;
            }
        }
    }

    [Fact(Timeout = HangLimit)]
    public async Task Scatter_OfTextIntoRecords_IsNoOtherCase()
    {
        await using var host = await CreateAsync(TestBranches.QuickSquare(), TestBranches.Shout());
        string[] inputs = ["alpha", "Ωmega", "", "柿"];

        var all = await host.Scatter.Scatter<string, Shout>("shout", inputs, new ScatterOptions<string> { OnError = BranchErrorPolicy.Collect }).WholeAsync(TestStop);

        Assert.Equal([new Shout("ALPHA!", 5), new Shout("ΩMEGA!", 5), new Shout("柿!", 1)], all.Values);
        var failed = Assert.Single(all.Failed);
        Assert.Equal((2L, "There is nothing to shout."), (failed.Index, failed.Error!.Reason));
        Assert.Throws<BranchException>(() => failed.Value);
        AssertLedgerAddsUp(all.Report);
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(1)]
    [InlineData(3)]
    [InlineData(16)]
    public async Task Scatter_InOrderWithUnevenItems_KeepsTheOrderWhateverTheDegree(int degree)
    {
        await using var host = await CreateAsync(TestBranches.Square(static async (item, _) =>
        {
            if (item % 7 == 0) await Task.Yield(); // some take longer than those behind them
        }));
        var gather = host.Scatter.Scatter<int, long>("square", [.. Enumerable.Range(0, 3_000)], new ScatterOptions<int> { Degree = degree, Order = GatherOrder.AsAsked });

        AssertSquares(await ToListAsync(gather), 3_000, GatherOrder.AsAsked);
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Scatter_OneItemIsSlow_DoesNotHoldBackTheOthers(bool keepsItsThread)
    {
        var gate = new Gate();
        await using var host = await CreateAsync(TestBranches.Square(async (item, token) =>
        {
            if (item != 700) return;
            if (keepsItsThread) gate.Pass();
            else await gate.PassAsync(token);
        }));
        var others = new List<BranchResult<long>>();
        BranchResult<long>? last = null;

        await foreach (var result in host.Scatter.Scatter<int, long>("square", [.. Enumerable.Range(0, 1_000)], new ScatterOptions<int> { Degree = 4 }).WithCancellation(TestStop))
        {
            if (result.Index == 700) last = result;
            else others.Add(result);
            if (others.Count == 999) gate.Open(); // nobody else does: all the others have to come first
        }

        Assert.Equal(490_000, last!.Value.Value);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Scatter_WhileRunning_NeverRunsMoreThanTheDegree_AndFollowsItsChange()
    {
        var crowd = new Crowd();
        var gates = Enumerable.Range(0, 1_000).Select(_ => new Gate()).ToArray();
        await using var host = await CreateAsync(TestBranches.Square(async (item, token) =>
        {
            crowd.Enter();
            await gates[item].PassAsync(token);
            crowd.Leave();
        }));
        var gather = host.Scatter.Scatter<int, long>("square", [.. Enumerable.Range(0, gates.Length)], new ScatterOptions<int> { Degree = 2 });
        Assert.Equal(2, gather.Degree);
        var all = gather.WholeAsync(TestStop);

        await EventuallyIsAsync(2);
        gather.Degree = 6;
        await EventuallyIsAsync(6);
        gather.Degree = 1;
        // Those that run end, and one comes after them; more where the change is still under way to another process.
        var looks = 0;
        await Eventually.TrueAsync(() => (looks = IsOne() ? looks + 1 : 0) == 5, s_soon, () => $"{crowd.Now} run instead of 1");
        Assert.Contains(gates, gate => !gate.Reached.IsCompleted);
        foreach (var gate in gates) gate.Open();

        Assert.Equal(gates.Length, (await all).Report.Done);
        Assert.Equal((6, 1), (crowd.Most, gather.Degree));

        Task EventuallyIsAsync(int count) => Eventually.TrueAsync(() => crowd.Now == count, s_soon, () => $"{crowd.Now} run instead of {count}");
        bool IsOne()
        {
            if (crowd.Now > 1)
                foreach (var gate in gates.Where(gate => gate.Reached.IsCompleted)) gate.Open();
            return crowd.Now == 1;
        }
    }

    [Fact(Timeout = HangLimit)]
    public async Task Scatter_OfASequence_ReadsNoFurtherAheadThanTheCapacity()
    {
        var read = 0;
        await using var host = await CreateAsync(TestBranches.QuickSquare());
        var gathered = 0;
        var options = new ScatterOptions<int> { Capacity = 50, Degree = 3 };

        await foreach (var _ in host.Scatter.Scatter<int, long>("square", Numbers(), options).WithCancellation(TestStop))
        {
            gathered++;
            Assert.InRange(Volatile.Read(ref read) - gathered, 0, 50 + 1); // one more is asked for to see whether it waits
            if (gathered % 100 == 0) await Task.Yield();
        }

        Assert.Equal(2_000, gathered);

        async IAsyncEnumerable<int> Numbers()
        {
            for (var i = 0; i < 2_000; i++)
            {
                if (i % 30 == 0) await Task.Yield();
                Interlocked.Increment(ref read);
                yield return i;
            }
        }
    }

    [Fact(Timeout = HangLimit)]
    public async Task Scatter_WithKeys_RunsEachKeyInOrderOneAtATime_AndKeysSideBySide()
    {
        var lanes = Enumerable.Range(0, 5).Select(_ => (Crowd: new Crowd(), Items: new List<int>())).ToArray();
        var all = new Crowd();
        await using var host = await CreateAsync(TestBranches.Square(async (item, _) =>
        {
            var (crowd, items) = lanes[item % 5];
            crowd.Enter();
            all.Enter();
            lock (items) items.Add(item);
            await Task.Yield();
            if (item < 5) await Eventually.TrueAsync(() => all.Most >= 3, s_soon, () => "keys do not run side by side");
            all.Leave();
            crowd.Leave();
        }));
        var options = new ScatterOptions<int> { Degree = 4, Order = GatherOrder.AsAsked, Capacity = 16, Key = item => item % 5 == 4 ? null : $"{item % 5}" };

        var results = await ToListAsync(host.Scatter.Scatter<int, long>("square", [.. Enumerable.Range(0, 300)], options));

        AssertSquares(results, 300, GatherOrder.AsAsked);
        foreach (var (crowd, items) in lanes[..4])
        {
            Assert.Equal(1, crowd.Most);
            Assert.Equal(items.Order(), items);
        }
        Assert.InRange(all.Most, 3, 4);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Scatter_ManyAtOnce_DoNotMix()
    {
        await using var host = await CreateAsync(TestBranches.QuickSquare(), TestBranches.Shout());

        await Task.WhenAll(Enumerable.Range(1, 20).Select(async i =>
        {
            AssertSquares(await ToListAsync(host.Scatter.Scatter<int, long>("square", [.. Enumerable.Range(0, i * 50)])), i * 50, GatherOrder.AsCompleted);
            var shouts = await host.Scatter.Scatter<string, Shout>("shout", [.. Enumerable.Repeat($"n{i}", i)]).WholeAsync(TestStop);
            Assert.All(shouts.Values, shout => Assert.Equal($"N{i}!", shout.Text));
        }));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Report_SaysWhoDidHowMuchAndWhatTheSlowestCost()
    {
        await using var host = await CreateAsync(TestBranches.Square(static async (item, token) => await Task.Delay(TimeSpan.FromMilliseconds(item == 5 ? 400 : 20), TimeProvider.System, token)));
        var gather = host.Scatter.Scatter<int, long>("square", [.. Enumerable.Range(0, 12)], new ScatterOptions<int> { Degree = 3 });

        var results = await ToListAsync(gather);

        var report = gather.Report;
        Assert.Equal(("square", 12L), (report.Branch, report.Done));
        Assert.InRange(report.Workers.Count, 1, 3);
        Assert.All(report.Workers, share => Assert.Equal(results.Count(result => result.Worker == share.Worker), share.Answered));
        Assert.All(results, result => Assert.Equal(1, result.Attempt));
        Assert.Contains(results, result => result.Wait > TimeSpan.Zero);
        Assert.True(report.StragglerRatio > 1.5, $"{report.Slowest} over {report.Median}");
        Assert.InRange(report.Slowest, TimeSpan.FromMilliseconds(380), report.Elapsed);
    }

    protected static async Task<List<BranchResult<T>>> ToListAsync<T>(IGather<T> gather)
    {
        var results = new List<BranchResult<T>>();
        await foreach (var result in gather.WithCancellation(TestStop)) results.Add(result);
        return results;
    }

    private static void AssertSquares(List<BranchResult<long>> results, int count, GatherOrder order)
    {
        var indexes = results.Select(result => result.Index);
        Assert.Equal(Enumerable.Range(0, count).Select(i => (long)i), order == GatherOrder.AsAsked ? indexes : indexes.Order());
        Assert.All(results, result => Assert.Equal(result.Index * result.Index, result.Value));
    }
}

/// <summary>A variant with everything it needs to run, until disposed.</summary>
public sealed class ScatterGatherHost(IScatterGather scatter, Func<ValueTask> dispose) : IAsyncDisposable
{
    public IScatterGather Scatter { get; } = scatter;

    public ValueTask DisposeAsync() => dispose();
}

/// <summary>Counts, each in both orders.</summary>
internal sealed class CombinatorialOrdersAttribute(params int[] counts) : Xunit.v3.DataAttribute
{
    public override ValueTask<IReadOnlyCollection<ITheoryDataRow>> GetData(System.Reflection.MethodInfo testMethod, Xunit.Sdk.DisposalTracker disposalTracker) =>
        new([.. counts.SelectMany(count => Enum.GetValues<GatherOrder>().Select(order => new TheoryDataRow<int, GatherOrder>(count, order)))]);

    public override bool SupportsDiscoveryEnumeration() => true;
}
