using System.Collections.Concurrent;
using DistributedPatterns.Supervision;

namespace DistributedPatterns.Tests.Supervision;

/// <summary>What <see cref="ISupervisor"/> promises, for every variant.</summary>
public abstract partial class SupervisorConformance
{
    protected const int HangLimit = 90_000;

    private readonly ConcurrentQueue<string> _journal = new();

    protected static CancellationToken TestStop => TestContext.Current.CancellationToken;

    /// <summary>Starts a supervisor over these children; there are no pauses unless the test sets some.</summary>
    protected abstract ValueTask<SupervisorHost> CreateAsync(Action<SupervisionOptions>? configure, params ChildDefinition[] children);

    [Fact(Timeout = HangLimit)]
    public async Task Start_OfChildren_IsInOrderEachWhenTheOneBeforeIsUp()
    {
        var (a, b, c) = (Child("a", heartbeat: TimeSpan.FromHours(1)), Child("b", heartbeat: TimeSpan.FromHours(1)), Child("c"));
        await using var host = await CreateAsync(null, a.Definition, b.Definition, c.Definition);

        var first = await a.NextAsync();
        await host.UntilAsync(tree => tree.Children[0].State == ChildState.Starting);
        Assert.Equal((ChildState.Waiting, ChildState.Waiting), ((await host.ChildAsync("b")).State, (await host.ChildAsync("c")).State));
        first.Context.Beat();
        var second = await b.NextAsync();
        Assert.False(c.HasStarted);
        second.Context.Beat();
        await c.NextAsync();

        await host.AllRunAsync();
        Assert.Equal(["+a", "+b", "+c"], _journal);
        Assert.True((await AssertAddsUpAsync(host)).Children is [var x, var y, var z] && x.Epoch > 0 && y.Epoch > x.Epoch && z.Epoch > y.Epoch);
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(SupervisionStrategy.OneForOne, "-b +b")]
    [InlineData(SupervisionStrategy.OneForAll, "-b -d -c -a +a +b +c +d")]
    [InlineData(SupervisionStrategy.RestForOne, "-b -d -c +b +c +d")]
    public async Task Crash_TakesThoseWithItThatTheStrategySays_ReverseDownAndInOrderUp(SupervisionStrategy strategy, string journal)
    {
        var (a, b, c, d) = (Child("a"), Child("b"), Child("c"), Child("d"));
        await using var host = await CreateAsync(options => options.Strategy = strategy, a.Definition, b.Definition, c.Definition, d.Definition);
        var starts = new[] { await a.NextAsync(), await b.NextAsync(), await c.NextAsync(), await d.NextAsync() };
        await host.AllRunAsync();
        var before = await host.TreeAsync();
        _journal.Clear();

        starts[1].Crash();

        var expected = journal.Split(' ');
        await host.UntilAsync(tree => _journal.Count >= expected.Length && tree.Children.All(child => child.State == ChildState.Running));
        Assert.Equal(expected, _journal);
        var tree = await AssertAddsUpAsync(host);
        Assert.Equal(
            ((string[])["a", "b", "c", "d"]).Select(name => journal.Contains("+" + name, StringComparison.Ordinal)),
            tree.Children.Zip(before.Children, (now, then) => now.Epoch > then.Epoch));
        Assert.Equal((1, 1, expected.Length / 2 - 1), (tree.Ledger.Crashed, tree.Budget.Spent, tree.Ledger.Stopped));
        Assert.Contains("told to", tree.Children[1].Reason, StringComparison.Ordinal);
    }

    [Fact(Timeout = HangLimit)]
    public async Task SetStrategy_CountsFromTheNextFailureOn()
    {
        var (a, b) = (Child("a"), Child("b"));
        await using var host = await CreateAsync(null, a.Definition, b.Definition);
        await a.NextAsync();
        var second = await b.NextAsync();
        await host.AllRunAsync();

        await host.Supervisor.SetStrategyAsync(SupervisionStrategy.OneForAll, TestStop);
        second.Crash();

        await Task.WhenAll(a.NextAsync(), b.NextAsync());
        Assert.Equal(SupervisionStrategy.OneForAll, (await host.TreeAsync()).Strategy);
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(ChildRestart.Permanent, false, true)]
    [InlineData(ChildRestart.Permanent, true, true)]
    [InlineData(ChildRestart.Transient, false, false)]
    [InlineData(ChildRestart.Transient, true, true)]
    [InlineData(ChildRestart.Temporary, false, false)]
    [InlineData(ChildRestart.Temporary, true, false)]
    public async Task End_OfAChild_IsFollowedByARestartOrNot(ChildRestart restart, bool crashes, bool isRestarted)
    {
        var (child, other) = (Child("child", restart), Child("other"));
        await using var host = await CreateAsync(null, child.Definition, other.Definition);
        var start = await child.NextAsync();
        await host.AllRunAsync();

        if (crashes) start.Crash();
        else start.Return();

        var wanted = isRestarted ? ChildState.Running : ChildState.Exited;
        await host.UntilAsync(tree => tree.Children[0] is var now && now.State == wanted && now.Reason is not null && (now.Epoch > start.Context.Epoch) == isRestarted);
        var tree = await AssertAddsUpAsync(host);
        Assert.Equal((crashes ? 1 : 0, crashes ? 0 : 1), (tree.Ledger.Crashed, tree.Ledger.Exited));
        Assert.Equal((isRestarted ? 1 : 0, isRestarted ? 1 : 0), (tree.Budget.Spent, tree.Children[0].Restarts));
        Assert.Equal(1, tree.Children[1].Restarts + 1);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Crash_OfASibling_DoesNotStartATemporaryChildAgain()
    {
        var (a, temporary) = (Child("a"), Child("t", ChildRestart.Temporary));
        await using var host = await CreateAsync(options => options.Strategy = SupervisionStrategy.OneForAll, a.Definition, temporary.Definition);
        var start = await a.NextAsync();
        await host.AllRunAsync();

        start.Crash();
        await a.NextAsync();

        var tree = await host.UntilAsync(tree => tree.Children[0].State == ChildState.Running);
        Assert.Equal((ChildState.Exited, 1), (tree.Children[1].State, tree.Ledger.Stopped));
    }

    [Fact(Timeout = HangLimit)]
    public async Task End_OfAChildThatAsksForIt_IsNotFollowedByARestart()
    {
        var child = Child("child");
        await using var host = await CreateAsync(null, child.Definition);

        (await child.NextAsync()).Throw(new ChildDoneException("nothing left to do"));

        var tree = await host.UntilAsync(tree => tree.Children[0].State == ChildState.Exited);
        Assert.Contains("nothing left to do", tree.Children[0].Reason, StringComparison.Ordinal);
        Assert.Equal((1, 0), (tree.Ledger.Exited, tree.Budget.Spent));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Write_IsThereForTheNextStartAndForSiblings()
    {
        var (a, b) = (Child("a"), Child("b"));
        await using var host = await CreateAsync(null, a.Definition, b.Definition);
        var start = await a.NextAsync();
        Assert.Null(await start.Context.ReadAsync(TestStop));

        await start.Context.WriteAsync("one two", TestStop);
        start.Crash();

        var next = await a.NextAsync();
        Assert.True(next.Context.Epoch > start.Context.Epoch);
        Assert.Equal("one two", await next.Context.ReadAsync(TestStop));
        Assert.Equal("one two", await (await b.NextAsync()).Context.ReadAsync("a", TestStop));
        Assert.Equal("one two", (await host.ChildAsync("a")).Value);
        await Assert.ThrowsAsync<ChildNotFoundException>(async () => await next.Context.ReadAsync("nobody", TestStop));
        await Assert.ThrowsAsync<ChildValueTooLargeException>(async () => await next.Context.WriteAsync(new string('x', ChildContext.MaxValueLength + 1), TestStop));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Signal_ReachesTheStartThatRunsAndNoOther()
    {
        var (a, b) = (Child("a"), Child("b", ChildRestart.Transient));
        await using var host = await CreateAsync(null, a.Definition, b.Definition);
        var start = await a.NextAsync();
        var transient = await b.NextAsync();
        await host.AllRunAsync();

        var epoch = await host.Supervisor.SignalAsync("a", ChildSignal.Exit, TestStop);

        Assert.Equal(start.Context.Epoch, epoch);
        var taken = ChildSignal.None;
        await host.UntilAsync(_ => (taken = start.Context.TakeSignal()) != ChildSignal.None);
        Assert.Equal((ChildSignal.Exit, ChildSignal.None), (taken, start.Context.TakeSignal()));
        start.Return();
        Assert.Equal(ChildSignal.None, (await a.NextAsync()).Context.TakeSignal());
        transient.Return();
        await host.UntilAsync(tree => tree.Children[1].State == ChildState.Exited);
        await Assert.ThrowsAsync<ChildNotRunningException>(async () => await host.Supervisor.SignalAsync("b", ChildSignal.Crash, TestStop));
        await Assert.ThrowsAsync<ChildNotFoundException>(async () => await host.Supervisor.SignalAsync("nobody", ChildSignal.Crash, TestStop));
    }

    private protected TestChild Child(string name, ChildRestart restart = ChildRestart.Permanent, TimeSpan? heartbeat = null, TimeSpan? stopLimit = null) =>
        new(name, _journal, restart, heartbeat, stopLimit);

    /// <summary>Checks that nothing ended in silence.</summary>
    private protected static async Task<SupervisionTree> AssertAddsUpAsync(SupervisorHost host)
    {
        var tree = await host.TreeAsync();
        var ledger = tree.Ledger;
        Assert.Equal(ledger.Started, ledger.Running + ledger.Exited + ledger.Crashed + ledger.Hung + ledger.Stopped + ledger.Lost);
        Assert.Equal(ledger.Running, tree.Children.Count(child => child.Owner is not null));
        Assert.Equal(tree.Budget.MaxRestarts, tree.Budget.Spent + tree.Budget.Left);
        return tree;
    }
}
