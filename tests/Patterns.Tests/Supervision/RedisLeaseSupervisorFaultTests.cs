using DistributedPatterns.Supervision;
using DistributedPatterns.Tests.Support;

namespace DistributedPatterns.Tests.Supervision;

/// <summary>Processes that die, freeze, come, go and lose their Redis: children move, epochs rise, and nobody writes after his time.</summary>
public sealed class RedisLeaseSupervisorFaultTests(SharedRedis shared)
{
    private const int HangLimit = 90_000;

    private static readonly TimeSpan s_lease = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(40);

    private static CancellationToken TestStop => TestContext.Current.CancellationToken;

    [Theory(Timeout = HangLimit)]
    [InlineData(RedisKind.Redis)]
    [InlineData(RedisKind.Garnet)]
    public async Task Process_LosesItsConnection_ItsChildrenRunElsewhereAndStopHere(RedisKind kind)
    {
        var (a, b) = (new TestChild("a"), new TestChild("b"));
        await using var cluster = await SupervisionCluster.StartAsync(await shared.OfAsync(kind), 2, options => (options.Lease, options.MaxRestarts) = (s_lease, 100), a.Definition, b.Definition);
        var start = await a.NextAsync();
        await b.NextAsync();
        await start.Context.WriteAsync("7", TestStop);
        var owner = start.Context.Owner;

        await cluster.CutOffAsync(owner);

        var next = await NextElsewhereAsync(a, owner);
        Assert.True(next.Context.Epoch > start.Context.Epoch);
        Assert.Equal("7", await next.Context.ReadAsync(TestStop));
        // Not told by anybody: its own clock says that its lease must be over.
        await Eventually.TrueAsync(() => start.Token.IsCancellationRequested, s_limit, () => "the start that was cut off goes on");
        var tree = await UntilAsync(cluster, tree => tree.Children.All(child => child.State == ChildState.Running && child.Owner != owner));
        Assert.True(tree.Ledger.Lost >= 1, $"{tree}");
        Assert.Equal(tree.Ledger.Started, tree.Ledger.Running + tree.Ledger.Stopped + tree.Ledger.Lost);
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(RedisKind.Redis)]
    [InlineData(RedisKind.Garnet)]
    public async Task Process_FreezesPastItsLease_IsRefusedWhenItComesBack(RedisKind kind)
    {
        var (a, b) = (new TestChild("a"), new TestChild("b"));
        await using var cluster = await SupervisionCluster.StartAsync(await shared.OfAsync(kind), 0, options => options.Lease = s_lease, a.Definition, b.Definition);
        // The test itself is the first process: it takes a, says that it is up, takes b, and then says nothing any more.
        var (name, epoch) = await BeatAsync(cluster);
        Assert.Equal("a", name);
        await BeatAsync(cluster, name, epoch, "up", "");
        await cluster.Script.WriteAsync(name, epoch, "41", TestStop);

        await cluster.AddRunnerAsync("live");
        var start = await a.NextAsync();
        await start.Context.WriteAsync("42", TestStop);

        var refused = await Assert.ThrowsAsync<ChildFencedException>(async () => await cluster.Script.WriteAsync(name, epoch, "40", TestStop));
        Assert.Equal((epoch, "a"), (refused.Epoch, refused.Child));
        Assert.Equal(default, await BeatAsync(cluster, name, epoch, "up", "")); // nothing is its any more
        var tree = await UntilAsync(cluster, tree => tree.Children.All(child => child.State == ChildState.Running));
        Assert.Equal(("42", 1), (tree.Children[0].Value, tree.Counters.Fenced));
        Assert.Equal((2, 1), (tree.Ledger.Lost, tree.Budget.Spent)); // one process, two children: one failure
        Assert.Contains("did not renew its lease", tree.Children[0].Reason, StringComparison.Ordinal);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Process_IsStopped_HandsItsChildrenBackAtOnce()
    {
        var children = Enumerable.Range(0, 4).Select(i => new TestChild($"c{i}")).ToArray();
        await using var cluster = await SupervisionCluster.StartAsync(
            await shared.OfAsync(RedisKind.Garnet), 1, options => options.Lease = TimeSpan.FromMinutes(5), [.. children.Select(child => child.Definition)]);
        await UntilAsync(cluster, tree => tree.Children.All(child => child.State == ChildState.Running));
        await cluster.AddRunnerAsync("other");

        await cluster.StopAsync("runner-0");

        // Long before the lease is over.
        var tree = await UntilAsync(cluster, tree => tree.Children.All(child => child.State == ChildState.Running && child.Owner!.StartsWith("other", StringComparison.Ordinal)));
        Assert.Equal((4, 0, 0), (tree.Ledger.Stopped, tree.Ledger.Lost, tree.Budget.Spent));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Process_HasBeenThereForALease_GetsItsShare()
    {
        var children = Enumerable.Range(0, 4).Select(i => new TestChild($"c{i}")).ToArray();
        await using var cluster = await SupervisionCluster.StartAsync(
            await shared.OfAsync(RedisKind.Garnet), 1, options => options.Lease = TimeSpan.FromSeconds(10), [.. children.Select(child => child.Definition)]);
        await UntilAsync(cluster, tree => tree.Children.All(child => child.State == ChildState.Running));

        await cluster.AddRunnerAsync("other");

        var tree = await UntilAsync(cluster, tree => tree.Children.All(child => child.State == ChildState.Running)
            && tree.Children.Count(child => child.Owner!.StartsWith("other", StringComparison.Ordinal)) == 2);
        Assert.Equal((0, 0), (tree.Budget.Spent, tree.Ledger.Crashed));
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(RedisKind.Redis)]
    [InlineData(RedisKind.Garnet)]
    public async Task Redis_IsFrozenForLongerThanALease_ChildrenPauseAndGoOnWithoutAFailure(RedisKind kind)
    {
        await using var server = await RedisBackend.StartAsync(kind);
        var a = new TestChild("a");
        await using var cluster = await SupervisionCluster.StartAsync(server, 2, options => (options.Lease, options.MaxRestarts) = (s_lease, 0), a.Definition);
        var start = await a.NextAsync();
        await start.Context.WriteAsync("7", TestStop);

        await server.PauseAsync();
        await Eventually.TrueAsync(() => start.Token.IsCancellationRequested, s_limit, () => "it goes on without a lease");
        Assert.False(a.HasStarted);
        await server.ResumeAsync();

        var next = await a.NextAsync();
        Assert.Equal("7", await next.Context.ReadAsync(TestStop));
        Assert.True(next.Context.Epoch > start.Context.Epoch);
        Assert.Null((await cluster.Supervisor.GetTreeAsync(TestStop)).Escalated);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Redis_ForgetsEverything_ChildrenStartAnewUnderHigherEpochs()
    {
        await using var server = await RedisBackend.StartAsync(RedisKind.Redis);
        var a = new TestChild("a");
        await using var cluster = await SupervisionCluster.StartAsync(server, 1, options => options.Lease = s_lease, a.Definition);
        var start = await a.NextAsync();

        await using (var redis = await server.ConnectAsync()) await redis.GetServers().Single().FlushAllDatabasesAsync();

        var next = await a.NextAsync();
        Assert.True(next.Context.Epoch > start.Context.Epoch);
        await Assert.ThrowsAsync<ChildFencedException>(async () => await start.Context.WriteAsync("late", TestStop));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Children_OfProcessesThatComeAndGo_CountOnAndNeverBack()
    {
        var counters = Enumerable.Range(0, 3).Select(i => new ChildDefinition($"counter-{i}", CountAsync)).ToArray();
        await using var cluster = await SupervisionCluster.StartAsync(
            await shared.OfAsync(RedisKind.Garnet), 2, options => (options.Lease, options.MaxRestarts) = (TimeSpan.FromMilliseconds(600), 1_000), counters);
        var seen = new long[counters.Length];
        for (var round = 0; round < 6; round++)
        {
            await UntilAsync(cluster, tree => AllCount(tree, seen, atLeast: 5));
            await cluster.AddRunnerAsync($"next-{round}");
            var owner = (await UntilAsync(cluster, tree => tree.Children.Any(child => cluster.Has(child.Owner)))).Children.First(child => cluster.Has(child.Owner)).Owner!;
            if (round % 2 == 0) await cluster.CutOffAsync(owner);
            else await cluster.StopAsync(owner);
        }
        var tree = await UntilAsync(cluster, tree => AllCount(tree, seen, atLeast: 5));
        Assert.Null(tree.Escalated);
    }

    private static async Task CountAsync(ChildContext context, CancellationToken token)
    {
        var count = long.Parse(await context.ReadAsync(token) ?? "0", System.Globalization.CultureInfo.InvariantCulture);
        while (true)
        {
            await context.WriteAsync($"{++count}", token);
            context.Beat();
            await Task.Delay(TimeSpan.FromMilliseconds(5), TimeProvider.System, token);
        }
    }

    /// <summary>Checks that no count is below what was seen before; returns whether all have gone on by so much since the last time that it returned so.</summary>
    private static bool AllCount(SupervisionTree tree, long[] seen, long atLeast)
    {
        var now = tree.Children.Select(child => long.Parse(child.Value ?? "0", System.Globalization.CultureInfo.InvariantCulture)).ToArray();
        Assert.All(now.Zip(seen), pair => Assert.True(pair.First >= pair.Second, $"{pair.First} after {pair.Second}"));
        if (!now.Zip(seen).All(pair => pair.First >= pair.Second + atLeast)) return false;
        now.CopyTo(seen, 0);
        return true;
    }

    private static async Task<ChildStart> NextElsewhereAsync(TestChild child, string owner)
    {
        while (true)
        {
            var start = await child.NextAsync();
            if (start.Context.Owner != owner) return start;
        }
    }

    /// <summary>Speaks as a process of the name ghost.</summary>
    /// <returns>The first child that it is told to run, if any.</returns>
    private static async Task<(string Name, long Epoch)> BeatAsync(SupervisionCluster cluster, params StackExchange.Redis.RedisValue[] report)
    {
        var reply = await cluster.Script.CallOnceAsync("beat", "ghost", report);
        return reply.Length > 4 ? ((string)reply[4]!, (long)reply[5]) : default;
    }

    private static async Task<SupervisionTree> UntilAsync(SupervisionCluster cluster, Func<SupervisionTree, bool> condition)
    {
        SupervisionTree? last = null;
        await Eventually.TrueAsync(
            async () => condition(last = await cluster.Supervisor.GetTreeAsync(TestStop)), s_limit, () => $"{last}\n{string.Join('\n', last?.Children ?? [])}");
        return last!;
    }
}
