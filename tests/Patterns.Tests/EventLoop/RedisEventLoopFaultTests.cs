using DistributedPatterns.EventLoop;
using DistributedPatterns.EventLoop.Engine;
using DistributedPatterns.Tests.Support;
using StackExchange.Redis;

namespace DistributedPatterns.Tests.EventLoop;

/// <summary>Processes that die, freeze, come, go and lose their Redis: partitions move, epochs rise, every event counts once and in order.</summary>
public sealed class RedisEventLoopFaultTests(SharedRedis shared)
{
    private const int HangLimit = 120_000;

    private static readonly TimeSpan s_lease = TimeSpan.FromSeconds(1);

    private readonly TestHandlers _handlers = new();

    private static CancellationToken TestStop => TestContext.Current.CancellationToken;

    [Theory(Timeout = HangLimit)]
    [InlineData(RedisKind.Redis)]
    [InlineData(RedisKind.Garnet)]
    public async Task Owner_FreezesPastItsLease_IsRefusedWhenItComesBack(RedisKind kind)
    {
        await using var cluster = await LoopCluster.StartAsync(await shared.OfAsync(kind), 0, _handlers.All, options => (options.Lease, options.Partitions) = (s_lease, 1));
        // The test itself is the first owner: it takes the partition, reads what is there, and then says nothing for a while.
        var owned = (string[])(await cluster.Store.CallOnceAsync("beat", "ghost"))[0]!;
        var epoch = long.Parse(owned[1], System.Globalization.CultureInfo.InvariantCulture);
        var partition = cluster.Store.Partitions[0];
        await cluster.Loop.PostAsync(Add("k", 1), TestStop);
        var opened = await partition.OpenAsync(epoch, TestStop);
        var read = await partition.ReadAsync(epoch, opened!.Value.Cursor, TestStop);
        var position = Assert.Single(read!.Value.Events).Position;

        await cluster.AddRunnerAsync("live");
        await cluster.AllHandledAsync();
        var late = await partition.CommitAsync(epoch, Change(opened.Value.Cursor, position, "s:k", $"1 {position} {{\"Sum\":666}}"), TestStop);

        Assert.Equal(CommitResult.Fenced, late.Result);
        Assert.Null(await partition.ReadAsync(epoch, 0, TestStop));
        Assert.Null(await partition.OpenAsync(epoch, TestStop));
        Assert.Equal(new Numbers(1, 1, 1, true), _handlers.Add.StateOf(await cluster.Loop.ReadAsync("k", TestStop)));
        var status = await cluster.Loop.GetStatusAsync(TestStop);
        Assert.Equal((1, new EventLedger(1, 1, 0, 0)), (status.Counters.Fenced, status.Ledger));
        Assert.True(status.Partitions[0].Epoch > epoch);
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(RedisKind.Redis)]
    [InlineData(RedisKind.Garnet)]
    public async Task Owner_ThatJoins_HasItsShareLongBeforeARenewalIsDue(RedisKind kind)
    {
        // Renewed no sooner than after a sixth of this.
        await using var cluster = await LoopCluster.StartAsync(await shared.OfAsync(kind), 1, _handlers.All, options => options.Lease = TimeSpan.FromMinutes(5));
        await cluster.UntilAsync(status => status.Partitions.All(one => one.Owner is not null));

        await cluster.AddRunnerAsync("other");

        await cluster.UntilAsync(status => status.Partitions.All(one => one.Owner is not null) && status.Partitions.Select(one => one.Owner).Distinct().Count() == 2)
            .WaitAsync(TimeSpan.FromSeconds(30), TimeProvider.System, TestStop);
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(RedisKind.Redis)]
    [InlineData(RedisKind.Garnet)]
    public async Task Owner_IsCutOffInTheMiddleOfAnEvent_AnotherOneHandlesItAndItCountsOnce(RedisKind kind)
    {
        await using var cluster = await LoopCluster.StartAsync(await shared.OfAsync(kind), 1, _handlers.All, options => (options.Lease, options.Partitions) = (s_lease, 1));
        await cluster.Loop.PostAsync(new PostRequest("k", Enumerable.Range(1, 20).Select(i => (i == 10 ? _handlers.Block : _handlers.Add).With(new(i))).ToList()), TestStop);
        await _handlers.Blocked.Task.WaitAsync(TestStop);

        await cluster.CutOffAsync("runner-0");
        await cluster.AddRunnerAsync("other");
        await cluster.UntilAsync(status => status.Partitions[0].Owner?.StartsWith("other", StringComparison.Ordinal) == true);
        _handlers.Gate.Set();

        var status = await cluster.AllHandledAsync();
        Assert.Equal(new EventLedger(20, 20, 0, 0), status.Ledger);
        Assert.Equal(new Numbers(210, 20, 20, true), _handlers.Add.StateOf(await cluster.Loop.ReadAsync("k", TestStop)));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Owner_IsStopped_HandsItsPartitionsOverAtOnce()
    {
        await using var cluster = await LoopCluster.StartAsync(await shared.OfAsync(RedisKind.Garnet), 1, _handlers.All, options => options.Lease = TimeSpan.FromMinutes(5));
        await cluster.UntilAsync(status => status.Partitions.All(one => one.Owner is not null));
        await cluster.AddRunnerAsync("other");

        await cluster.StopAsync("runner-0");

        // Long before the lease is over.
        await cluster.UntilAsync(status => status.Partitions.All(one => one.Owner?.StartsWith("other", StringComparison.Ordinal) == true));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Process_Joins_GetsItsShareWhileEventsGoOn()
    {
        await using var cluster = await LoopCluster.StartAsync(await shared.OfAsync(RedisKind.Redis), 1, _handlers.All, options => options.Lease = s_lease);
        await cluster.UntilAsync(status => status.Partitions.All(one => one.Owner is not null));
        for (var i = 0; i < 200; i++) await cluster.Loop.PostAsync(Add($"k{i % 20}", i), TestStop);

        await cluster.AddRunnerAsync("other");
        await cluster.UntilAsync(status => status.Partitions.Count(one => one.Owner?.StartsWith("other", StringComparison.Ordinal) == true) == 2);
        for (var i = 200; i < 400; i++) await cluster.Loop.PostAsync(Add($"k{i % 20}", i), TestStop);

        Assert.Equal(400, (await cluster.AllHandledAsync()).Ledger.Applied);
        for (var key = 0; key < 20; key++) Assert.True(_handlers.Add.StateOf(await cluster.Loop.ReadAsync($"k{key}", TestStop)) is { Count: 20, IsInOrder: true });
    }

    [Fact(Timeout = HangLimit)]
    public async Task Timer_WhoseOwnerIsLost_HasItsTurnElsewhere()
    {
        await using var cluster = await LoopCluster.StartAsync(await shared.OfAsync(RedisKind.Garnet), 1, _handlers.All, options => (options.Lease, options.Partitions) = (s_lease, 1));
        await cluster.Loop.AskAsync(new PostRequest("k", _handlers.Remember.With(new Word("a", 1_500, false))), TimeSpan.FromSeconds(30), TestStop);

        await cluster.CutOffAsync("runner-0");
        await cluster.AddRunnerAsync("other");

        await cluster.UntilAsync(status => status.Counters.TimerTurns == 1);
        Assert.Equal(["a", "tick"], _handlers.Remember.StateOf(await cluster.Loop.ReadAsync("k", TestStop))!.All);
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(RedisKind.Redis)]
    [InlineData(RedisKind.Garnet)]
    public async Task Redis_IsFrozenForLongerThanALease_NothingIsLostAndNothingCountsTwice(RedisKind kind)
    {
        await using var server = await RedisBackend.StartAsync(kind);
        await using var cluster = await LoopCluster.StartAsync(server, 2, _handlers.All, options => options.Lease = s_lease);
        await cluster.UntilAsync(status => status.Partitions.All(one => one.Owner is not null));
        var posting = Task.Run(async () =>
        {
            for (var i = 0; i < 200; i++) await cluster.Loop.PostAsync(Add($"k{i % 10}", i), TestStop);
        }, TestStop);
        await cluster.UntilAsync(status => status.Ledger.Accepted > 20);

        await server.PauseAsync();
        await Task.Delay(s_lease * 2, TimeProvider.System, TestStop);
        await server.ResumeAsync();
        await posting;

        Assert.Equal(new EventLedger(200, 200, 0, 0), (await cluster.AllHandledAsync()).Ledger);
        for (var key = 0; key < 10; key++) Assert.True(_handlers.Add.StateOf(await cluster.Loop.ReadAsync($"k{key}", TestStop)) is { Count: 20, IsInOrder: true });
    }

    [Fact(Timeout = HangLimit)]
    public async Task Redis_ForgetsEverything_TheLoopGoesOnUnderHigherEpochs()
    {
        await using var server = await RedisBackend.StartAsync(RedisKind.Redis);
        await using var cluster = await LoopCluster.StartAsync(server, 1, _handlers.All, options => (options.Lease, options.Partitions) = (s_lease, 1));
        await cluster.Loop.AskAsync(Add("k", 1), TimeSpan.FromSeconds(30), TestStop);
        var before = (await cluster.Loop.GetStatusAsync(TestStop)).Partitions[0].Epoch;

        await using (var redis = await server.ConnectAsync()) await redis.GetServers().Single().FlushAllDatabasesAsync();

        var state = await cluster.Loop.AskAsync(Add("k", 2), TimeSpan.FromSeconds(60), TestStop);
        Assert.Equal(new Numbers(2, 1, 2, true), _handlers.Add.StateOf(state));
        Assert.True((await cluster.UntilAsync(status => status.Partitions[0].Owner is not null)).Partitions[0].Epoch > before);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Process_ThatCountsPartitionsDifferently_IsRefused()
    {
        var server = await shared.OfAsync(RedisKind.Garnet);
        var tag = SharedRedis.NewTag();
        await using var first = await LoopCluster.StartAsync(server, 0, _handlers.All, options => (options.KeyTag, options.Partitions) = (tag, 4));
        await first.Loop.PostAsync(Add("k", 1), TestStop);
        await using var second = await LoopCluster.StartAsync(server, 0, _handlers.All, options => (options.KeyTag, options.Partitions) = (tag, 5));

        var refused = await Assert.ThrowsAsync<InvalidOperationException>(async () => await second.Loop.PostAsync(Add("k", 2), TestStop));

        Assert.Contains("Partitions is 5", refused.Message, StringComparison.Ordinal);
        Assert.Contains("has 4 already", refused.Message, StringComparison.Ordinal);
    }

    /// <summary>The whole promise: 100,000 events on 1,000 keys while owners join, leave, freeze and die.</summary>
    [Theory(Timeout = 300_000)]
    [InlineData(RedisKind.Redis)]
    [InlineData(RedisKind.Garnet)]
    public async Task Events_WhileOwnersJoinLeaveFreezeAndDie_CountOnceAndInOrder(RedisKind kind)
    {
        const int Keys = 1_000;
        const int Each = 100;
        await using var cluster = await LoopCluster.StartAsync(await shared.OfAsync(kind), 3, _handlers.All, options => (options.Lease, options.Partitions) = (s_lease, 16));
        var partition = cluster.Store.Partitions[0];
        await cluster.UntilAsync(status => status.Partitions.All(one => one.Owner is not null));
        var rounds = 0;
        var posting = Task.WhenAll(Enumerable.Range(0, 8).Select(poster => Task.Run(async () =>
        {
            for (var i = 0; i < Each; i += 10)
            {
                // Some of the events in every round.
                while (Volatile.Read(ref rounds) < i / 20) await Task.Delay(TimeSpan.FromMilliseconds(10), TimeProvider.System, TestStop);
                for (var key = poster; key < Keys; key += 8)
                    await cluster.Loop.PostAsync(new PostRequest($"key-{key}", [.. Enumerable.Range(i, 10).Select(n => _handlers.Add.With(new(n)))]), TestStop);
            }
        }, TestStop)));

        var (next, stale) = (3, new List<(long Epoch, long Cursor)>());
        for (var round = 0; round < 6; round++)
        {
            // An owner as it is now, to come back as a frozen one would: it opened its epoch, and the cursor is where it last saw it.
            var seen = (await cluster.UntilAsync(status => status.Partitions[0].Owner is not null)).Partitions[0].Epoch;
            if (await partition.OpenAsync(seen, TestStop) is { } open) stale.Add((seen, open.Cursor));
            await cluster.AddRunnerAsync($"runner-{next++}");
            var victim = cluster.Runners[0];
            if (round % 2 == 0) await cluster.CutOffAsync(victim);
            await cluster.StopAsync(victim);
            await cluster.UntilAsync(status => status.Partitions.All(one => one.Owner is not null && !one.Owner.StartsWith(victim, StringComparison.Ordinal)));
            Volatile.Write(ref rounds, round + 1);
        }
        await posting;
        var current = (await cluster.AllHandledAsync()).Partitions[0].Epoch;
        await partition.OpenAsync(current, TestStop); // as its owner does, who may not have come to it yet
        var (tried, refused) = (0, 0);
        foreach (var (epoch, cursor) in stale.Where(one => one.Epoch < current))
        {
            tried++;
            if ((await partition.CommitAsync(epoch, Change(cursor, cursor, "s:key-0", "1 1 {\"Sum\":666}"), TestStop)).Result == CommitResult.Fenced) refused++;
        }

        var status = await cluster.AllHandledAsync();
        Assert.Equal((Keys * Each, Keys * Each, 0, 0), (status.Ledger.Accepted, status.Ledger.Applied, status.Ledger.Dead, status.Ledger.Waiting));
        Assert.All(status.Partitions, one => Assert.True(one.Ledger.AddsUp, $"{one}"));
        Assert.True(tried > 0 && refused == tried, $"{refused} of {tried} writes of old owners were refused");
        for (var key = 0; key < Keys; key++)
        {
            var state = await cluster.Loop.ReadAsync($"key-{key}", TestStop);
            Assert.Equal((Each, new Numbers(Each * (Each - 1) / 2, Each, Each - 1, IsInOrder: true)), (state!.Applied, _handlers.Add.StateOf(state)));
        }
    }

    private PostRequest Add(string key, int value) => new(key, _handlers.Add.With(new Number(value)));

    private static RedisCommit Change(long from, long to, string field, string value) =>
        new("a late one", "0", from, to, 1, 0, 0, 0, null, null, new Dictionary<string, RedisValue> { [field] = value });
}
