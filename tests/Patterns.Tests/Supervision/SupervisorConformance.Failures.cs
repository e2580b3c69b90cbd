using System.Globalization;
using DistributedPatterns.Supervision;
using DistributedPatterns.Tests.Support;

namespace DistributedPatterns.Tests.Supervision;

/// <content>Giving up, hanging, and many failures.</content>
public abstract partial class SupervisorConformance
{
    [Fact(Timeout = HangLimit)]
    public async Task Crash_OnceMoreThanTheBudgetAllows_StopsAllUntilReset()
    {
        var (a, b, c) = (Child("a"), Child("b"), Child("c", ChildRestart.Transient));
        await using var host = await CreateAsync(options => options.MaxRestarts = 2, a.Definition, b.Definition, c.Definition);
        await a.NextAsync();
        (await c.NextAsync()).Return();
        await host.UntilAsync(tree => tree.Children[2].State == ChildState.Exited);
        for (var i = 0; i < 3; i++)
        {
            await host.UntilAsync(tree => tree.Children[0].State == ChildState.Running);
            (await b.NextAsync()).Crash();
        }

        var tree = await host.UntilAsync(tree => tree.Children.All(child => child.State is ChildState.Stopped or ChildState.Exited) && tree.Escalated is not null);
        Assert.Equal((2, 0, 1), (tree.Budget.Spent, tree.Budget.Left, tree.Counters.Escalations));
        Assert.Contains("after 2 restarts", tree.Escalated, StringComparison.Ordinal);
        Assert.Contains("b crashed", tree.Escalated, StringComparison.Ordinal);
        await AssertAddsUpAsync(host);
        var refused = await Assert.ThrowsAsync<SupervisorEscalatedException>(async () => await host.Supervisor.SignalAsync("a", ChildSignal.Crash, TestStop));
        Assert.Contains("after 2 restarts", refused.Reason, StringComparison.Ordinal);

        await host.Supervisor.ResetAsync(TestStop);

        await Task.WhenAll(a.NextAsync(), b.NextAsync(), c.NextAsync());
        await host.AllRunAsync();
        tree = await AssertAddsUpAsync(host);
        Assert.Equal((null, 0, 2), (tree.Escalated, tree.Budget.Spent, tree.Budget.Left));
        Assert.Equal((3, 1, 2), (tree.Ledger.Crashed, tree.Ledger.Exited, tree.Counters.Restarts));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Crash_WithNoRestartsAllowed_EscalatesAtOnce()
    {
        var a = Child("a");
        await using var host = await CreateAsync(options => options.MaxRestarts = 0, a.Definition);

        (await a.NextAsync()).Crash();

        var tree = await host.UntilAsync(tree => tree.Escalated is not null);
        Assert.Equal((0, 1), (tree.Counters.Restarts, tree.Counters.Escalations));
    }

    [Fact(Timeout = HangLimit)]
    public async Task EndTree_ThrownByAChild_EscalatesWhateverIsLeftOfTheBudget()
    {
        var (a, b) = (Child("a"), Child("b"));
        await using var host = await CreateAsync(null, a.Definition, b.Definition);
        await b.NextAsync();

        (await a.NextAsync()).Throw(new EndTreeException("the disk is full"));

        var tree = await host.UntilAsync(tree => tree.Escalated is not null && tree.Children.All(child => child.State == ChildState.Stopped));
        Assert.Contains("the disk is full", tree.Escalated, StringComparison.Ordinal);
        Assert.Equal(0, tree.Budget.Spent);
        await AssertAddsUpAsync(host);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Crash_AfterAPause_StartsAgainWhenThatIsOver()
    {
        var a = Child("a");
        await using var host = await CreateAsync(
            options => (options.FirstPause, options.LongestPause) = (TimeSpan.FromSeconds(2), TimeSpan.FromSeconds(2)), a.Definition);

        // Full jitter may draw next to nothing; five draws in a row do not.
        var hasWaited = false;
        for (var i = 0; i < 5; i++)
        {
            var next = await PassingTimeAsync(host, a.NextAsync());
            next.Crash();
            hasWaited |= (await host.UntilAsync(tree => tree.Ledger.Crashed == i + 1)).Children[0] is { State: ChildState.BackingOff, StartsIn: var rest } && rest > TimeSpan.Zero;
        }

        await PassingTimeAsync(host, a.NextAsync());
        Assert.True(hasWaited);
        await AssertAddsUpAsync(host);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Hang_OfAChildThatIgnoresItsToken_IsReplacedAndCanWriteNothingAnyMore()
    {
        var a = Child("a", heartbeat: TimeSpan.FromSeconds(10), stopLimit: TimeSpan.FromMilliseconds(100));
        await using var host = await CreateAsync(options => options.MaxRestarts = 100, a.Definition);
        var hung = await a.NextAsync();
        hung.IgnoresToken = true;
        await hung.Context.WriteAsync("before", TestStop);
        hung.Context.Beat();

        var next = await PassingTimeAsync(host, a.NextAsync());
        await Eventually.TrueAsync(() => hung.Token.IsCancellationRequested, TimeSpan.FromSeconds(20), () => "it was not told to stop");

        Assert.True(next.Context.Epoch > hung.Context.Epoch);
        var refused = await Assert.ThrowsAsync<ChildFencedException>(async () => await hung.Context.WriteAsync("late", TestStop));
        Assert.Equal(hung.Context.Epoch, refused.Epoch);
        var tree = await AssertAddsUpAsync(host);
        Assert.Equal("before", tree.Children[0].Value);
        Assert.True(tree is { Ledger.Hung: > 0, Counters.Fenced: 1 }, $"{tree}");
        Assert.Contains("hung", tree.Children[0].Reason, StringComparison.Ordinal);
        hung.Return();
    }

    [Fact(Timeout = HangLimit)]
    public async Task Storm_OfFailures_LeavesEveryStartAccountedForAndEpochsRising()
    {
        const int Crashes = 60;
        var children = Enumerable.Range(0, 4).Select(i => Child($"c{i}")).ToArray();
        await using var host = await CreateAsync(
            options => (options.MaxRestarts, options.Strategy) = (1_000, SupervisionStrategy.RestForOne), [.. children.Select(child => child.Definition)]);
        var latest = new long[children.Length];
        var (crashes, counted, handled) = (0, 0, 0);

        // Every start counts up by one what its child keeps, then fails, often while a sibling's failure takes it along.
        using var over = CancellationTokenSource.CreateLinkedTokenSource(TestStop);
        var drivers = children.Select(async (child, i) =>
        {
            while (true)
            {
                var start = await child.NextAsync().WaitAsync(over.Token);
                Assert.True(start.Context.Epoch > latest[i]);
                latest[i] = start.Context.Epoch;
                try
                {
                    var count = int.Parse(await start.Context.ReadAsync(TestStop) ?? "0", CultureInfo.InvariantCulture);
                    await start.Context.WriteAsync($"{count + 1}", TestStop);
                    Interlocked.Increment(ref counted);
                }
                catch (ChildFencedException)
                {
                    // Stopped before it could count.
                }
                if (Interlocked.Increment(ref crashes) <= Crashes) start.Crash();
                Interlocked.Increment(ref handled);
            }
        }).ToArray();
        await host.UntilAsync(tree => tree.Ledger.Started == Volatile.Read(ref handled) && crashes > Crashes && tree.Children.All(child => child.State == ChildState.Running));
        await over.CancelAsync();
        foreach (var driver in drivers) await Assert.ThrowsAnyAsync<OperationCanceledException>(() => driver);

        var tree = await host.UntilAsync(tree => tree.Children.All(child => child.State == ChildState.Running));
        Assert.Null(tree.Escalated);
        Assert.Equal(counted, tree.Children.Sum(child => int.Parse(child.Value ?? "0", CultureInfo.InvariantCulture)));
        await host.StopAsync();
        tree = await AssertAddsUpAsync(host);
        Assert.Equal(0, tree.Ledger.Running);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Stop_OfTheProcesses_StopsInReverseAndIsNoFailure()
    {
        var (a, b, c) = (Child("a"), Child("b"), Child("c"));
        await using var host = await CreateAsync(null, a.Definition, b.Definition, c.Definition);
        await Task.WhenAll(a.NextAsync(), b.NextAsync(), c.NextAsync());
        await host.AllRunAsync();
        _journal.Clear();

        await host.StopAsync();

        Assert.Equal(["-c", "-b", "-a"], _journal);
        var tree = await AssertAddsUpAsync(host);
        Assert.Equal((3, 0, 0), (tree.Ledger.Stopped, tree.Ledger.Running, tree.Budget.Spent));
    }

    private static async Task<T> PassingTimeAsync<T>(SupervisorHost host, Task<T> outcome)
    {
        await host.UntilAsync(_ => outcome.IsCompleted);
        return await outcome;
    }
}
