using DistributedPatterns.EventLoop;

namespace DistributedPatterns.Tests.EventLoop;

/// <summary>What <see cref="IEventLoop"/> promises, for every variant.</summary>
public abstract class EventLoopConformance
{
    protected const int HangLimit = 90_000;

    private static readonly TimeSpan s_within = TimeSpan.FromSeconds(30);

    private protected TestHandlers Handlers { get; } = new();

    protected static CancellationToken TestStop => TestContext.Current.CancellationToken;

    /// <summary>Starts a loop over handlers.</summary>
    private protected abstract ValueTask<LoopHost> CreateAsync(TestHandlers handlers, Action<EventLoopOptions>? configure = null);

    [Fact(Timeout = HangLimit)]
    public async Task Events_OfManyKeysByManyPosters_AreHandledInOrderOneAtATime()
    {
        const int Keys = 40;
        const int Each = 50;
        await using var host = await CreateAsync(Handlers);

        await Task.WhenAll(Enumerable.Range(0, Keys).Select(key => Task.Run(async () =>
        {
            for (var i = 0; i < Each; i++) await host.Loop.PostAsync(Add($"key-{key}", i), TestStop);
        }, TestStop)));

        var status = await host.AllHandledAsync();
        Assert.Equal(0, Handlers.Overlaps);
        Assert.Equal((Keys * Each, Keys * Each, 0), (status.Ledger.Accepted, status.Ledger.Applied, status.Ledger.Dead));
        Assert.All(status.Partitions, one => Assert.True(one.Ledger.AddsUp, $"{one}"));
        Assert.Equal(Keys, status.Partitions.Sum(one => one.Keys));
        for (var key = 0; key < Keys; key++)
        {
            var state = await host.ReadAsync($"key-{key}");
            Assert.Equal(Each, state!.Applied);
            Assert.Equal(new Numbers(Each * (Each - 1) / 2, Each, Each - 1, IsInOrder: true), Handlers.Add.StateOf(state));
        }
    }

    [Fact(Timeout = HangLimit)]
    public async Task Post_OfManyEvents_IsTakenOnTogetherAndInOrder()
    {
        await using var host = await CreateAsync(Handlers);

        var receipt = await host.Loop.PostAsync(new PostRequest("k", [.. Enumerable.Range(0, PostRequest.MaxEvents).Select(i => Handlers.Add.With(new(i)))]), TestStop);
        var next = await host.Loop.PostAsync(Add("k", 1_000), TestStop);

        Assert.True(receipt.IsNew && next.Position > receipt.Position && next.Partition == receipt.Partition);
        var state = await host.UntilAsync("k", state => state?.Applied == PostRequest.MaxEvents + 1);
        Assert.Equal((true, 1_000, next.Position), (Handlers.Add.StateOf(state)!.IsInOrder, Handlers.Add.StateOf(state)!.Last, state.Position));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Post_WithAnIdThatIsKnown_IsTakenOnOnce()
    {
        await using var host = await CreateAsync(Handlers);
        var request = Add("k", 1) with { Id = "once" };

        var receipts = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => host.Loop.PostAsync(request, TestStop).AsTask()));
        var state = await host.Loop.AskAsync(request, s_within, TestStop);

        Assert.Single(receipts, receipt => receipt.IsNew);
        Assert.Single(receipts.Select(receipt => receipt.Position).Distinct());
        Assert.Equal(1, state.Applied);
        Assert.Equal(8, (await host.AllHandledAsync()).Counters.Duplicates);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Ask_IsAnsweredWithTheStateAfterItsEvent()
    {
        await using var host = await CreateAsync(Handlers);
        await host.Loop.PostAsync(Add("k", 1), TestStop);

        var state = await host.Loop.AskAsync(Add("k", 2), s_within, TestStop);

        Assert.Equal((2, new Numbers(3, 2, 2, true)), (state.Applied, Handlers.Add.StateOf(state)));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Ask_ThatIsNotAnsweredInTime_SaysThatTheEventIsTakenOn()
    {
        await using var host = await CreateAsync(Handlers);
        await host.Loop.PostAsync(new PostRequest("k", Handlers.Block.With(new(1))), TestStop);
        await Handlers.Blocked.Task.WaitAsync(TestStop);

        var asking = host.Loop.AskAsync(Add("k", 2), TimeSpan.FromSeconds(10), TestStop).AsTask();
        await host.UntilAsync(_ => asking.IsCompleted);
        var late = await Assert.ThrowsAsync<AskTimedOutException>(() => asking);
        Assert.NotNull(late.Receipt);
        Handlers.Gate.Set();
        await host.UntilAsync("k", state => state?.Applied == 2);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Ask_ByACallerThatLeaves_ThrowsWithItsToken()
    {
        await using var host = await CreateAsync(Handlers);
        await host.Loop.PostAsync(new PostRequest("k", Handlers.Block.With(new(1))), TestStop);
        await Handlers.Blocked.Task.WaitAsync(TestStop);
        using var leave = new CancellationTokenSource();

        var asking = host.Loop.AskAsync(Add("k", 2), s_within, leave.Token).AsTask();
        await leave.CancelAsync();

        var left = await Assert.ThrowsAnyAsync<OperationCanceledException>(() => asking);
        Assert.Equal(leave.Token, left.CancellationToken);
        Handlers.Gate.Set();
        await host.AllHandledAsync();
    }

    [Fact(Timeout = HangLimit)]
    public async Task Event_WhoseHandlerFails_IsDeadAndTheNextHasItsTurn()
    {
        Handlers.FailFor = 1;
        await using var host = await CreateAsync(Handlers);
        await host.Loop.AskAsync(Add("k", 1), s_within, TestStop);

        await Assert.ThrowsAsync<LoopEventFailedException>(async () => await host.Loop.AskAsync(new PostRequest("k", Handlers.Flaky.With(new(2))), s_within, TestStop));
        var state = await host.Loop.AskAsync(Add("k", 3), s_within, TestStop);

        Assert.Equal(new Numbers(4, 2, 3, true), Handlers.Add.StateOf(state));
        var status = await host.AllHandledAsync();
        Assert.Equal(new EventLedger(3, 2, 1, 0), status.Ledger);
        Assert.Contains(status.Partitions, one => one.LastError == "k: flaky: not yet");
    }

    [Fact(Timeout = HangLimit)]
    public async Task Event_WithAttemptsLeft_IsTriedAgainAndCountsOnce()
    {
        var handlers = new TestHandlers(attempts: 3) { FailFor = 2 };
        await using var host = await CreateAsync(handlers);

        var state = await host.Loop.AskAsync(new PostRequest("k", handlers.Flaky.With(new(1))), s_within, TestStop);

        Assert.Equal((1, new EventLedger(1, 1, 0, 0)), (state.Applied, (await host.AllHandledAsync()).Ledger));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Timer_HasOneTurnOnceItIsDue_UnlessItIsCancelledOrSetAnew()
    {
        await using var host = await CreateAsync(Handlers);

        await host.Loop.PostAsync(new PostRequest("fires", [Say("a", 100), Say("b", 60)]), TestStop); // one timer: the second takes the first one's place
        await host.Loop.PostAsync(new PostRequest("cancelled", [Say("a", 60), Say("b", null, cancels: true)]), TestStop);

        var fired = await host.UntilAsync("fires", state => Handlers.Remember.StateOf(state)?.All.Count == 3);
        await host.Loop.AskAsync(new PostRequest("fires", Say("c", 200)), s_within, TestStop);
        fired = await host.UntilAsync("fires", state => Handlers.Remember.StateOf(state)?.All.Count == 5);
        Assert.Equal(["a", "b", "tick", "c", "tick"], Handlers.Remember.StateOf(fired)!.All);
        Assert.Equal(3, fired.Applied);
        var status = await host.UntilAsync(one => one is { Ledger.Waiting: 0, Counters.TimerTurns: >= 2 });
        Assert.Equal((2, new EventLedger(5, 5, 0, 0)), (status.Counters.TimerTurns, status.Ledger));
        Assert.Equal(["a", "b"], Handlers.Remember.StateOf(await host.ReadAsync("cancelled"))!.All);
    }

    [Fact(Timeout = HangLimit)]
    public async Task WorkOffTheLoop_LeavesTheLoopFree_AndComesBackAsAnEvent()
    {
        await using var host = await CreateAsync(Handlers);

        var during = await host.Loop.AskAsync(new PostRequest("k", Handlers.Fetch.With(new(1))), s_within, TestStop);
        during = await host.Loop.AskAsync(Add("k", 2), s_within, TestStop);
        Assert.Equal(new Numbers(3, 2, 2, true), Handlers.Add.StateOf(during));
        Handlers.OffLoop.SetResult();

        var back = await host.UntilAsync("k", state => state?.Applied == 3);
        Assert.Equal(new Numbers(13, 3, 10, true), Handlers.Add.StateOf(back));
        Assert.Equal(new EventLedger(3, 3, 0, 0), (await host.AllHandledAsync()).Ledger);
    }

    [Fact(Timeout = HangLimit)]
    public async Task WorkOffTheLoop_BeyondItsLimit_FailsTheTurnThatAsksForMore()
    {
        await using var host = await CreateAsync(Handlers, options => options.MaxOffLoop = 1);
        await host.Loop.AskAsync(new PostRequest("k", Handlers.Fetch.With(new(1))), s_within, TestStop);

        await Assert.ThrowsAsync<LoopEventFailedException>(async () => await host.Loop.AskAsync(new PostRequest("k", Handlers.Fetch.With(new(2))), s_within, TestStop));

        Handlers.OffLoop.SetResult();
        await host.UntilAsync("k", state => state?.Applied == 2);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Handler_ThatEndsItsKey_LeavesNoStateAndNoPlaceTaken()
    {
        await using var host = await CreateAsync(Handlers, options => (options.MaxKeys, options.Partitions, options.WhenFull) = (1, 1, LoopFullPolicy.Reject));
        await host.Loop.AskAsync(new PostRequest("a", Say("x")), s_within, TestStop);
        var full = await Assert.ThrowsAsync<EventLoopFullException>(async () => await host.Loop.PostAsync(new PostRequest("b", Say("x")), TestStop));
        Assert.Contains("1 of 1 keys", full.Message, StringComparison.Ordinal);

        var ended = await host.Loop.AskAsync(new PostRequest("a", Say("end")), s_within, TestStop);

        Assert.Null(ended.State);
        Assert.Null(await host.ReadAsync("a"));
        Assert.Equal(["x"], Handlers.Remember.StateOf(await host.Loop.AskAsync(new PostRequest("b", Say("x")), s_within, TestStop))!.All);
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(LoopFullPolicy.Reject)]
    [InlineData(LoopFullPolicy.Wait)]
    public async Task Post_WithoutRoom_IsRefusedOrWaits(LoopFullPolicy policy)
    {
        await using var host = await CreateAsync(Handlers, options => (options.Capacity, options.Partitions, options.WhenFull) = (100, 1, policy));
        await host.Loop.PostAsync(new PostRequest("k", Handlers.Block.With(new(-1))), TestStop);
        await Handlers.Blocked.Task.WaitAsync(TestStop); // it waits until its outcome is kept
        await host.Loop.PostAsync(new PostRequest("k", [.. Enumerable.Range(0, 99).Select(i => Handlers.Add.With(new(i)))]), TestStop);

        var more = host.Loop.PostAsync(Add("k", 99), TestStop).AsTask();

        if (policy == LoopFullPolicy.Reject)
        {
            var full = await Assert.ThrowsAsync<EventLoopFullException>(() => more);
            Assert.Equal((100, 0), (full.Limit, full.Partition));
            Handlers.Gate.Set();
        }
        else
        {
            Assert.False(more.IsCompleted);
            Handlers.Gate.Set();
            await host.UntilAsync(_ => more.IsCompleted);
            await more;
        }
        var status = await host.AllHandledAsync();
        Assert.Equal(policy == LoopFullPolicy.Reject ? 100 : 101, status.Ledger.Applied);
        Assert.True(policy == LoopFullPolicy.Wait || status.Counters.Refused == 1);
        Assert.True(Handlers.Add.StateOf(await host.ReadAsync("k"))!.IsInOrder);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Turn_AboveTheLimit_IsReportedWithItsHandlersName()
    {
        await using var host = await CreateAsync(Handlers, options => options.SlowTurn = TimeSpan.FromMilliseconds(20));
        await host.Loop.PostAsync(new PostRequest("k", Handlers.Block.With(new(1))), TestStop);
        await Handlers.Blocked.Task.WaitAsync(TestStop);

        host.PassTime(TimeSpan.FromMilliseconds(60));
        await Task.Delay(TimeSpan.FromMilliseconds(60), TimeProvider.System, TestStop);
        Handlers.Gate.Set();

        var status = await host.UntilAsync(status => status.Counters.SlowTurns > 0);
        var slow = Assert.Single(status.Partitions, one => one.SlowestTurn is not null).SlowestTurn!;
        Assert.Equal("block", slow.Handler);
        Assert.True(slow.Took >= TimeSpan.FromMilliseconds(20));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Post_ForAnotherEpoch_IsRefused()
    {
        await using var host = await CreateAsync(Handlers);
        var receipt = await host.Loop.PostAsync(Add("k", 1), TestStop);
        var epoch = (await host.AllHandledAsync()).Partitions[receipt.Partition].Epoch;

        await host.Loop.PostAsync(Add("k", 2) with { Epoch = epoch }, TestStop);
        var fenced = await Assert.ThrowsAsync<PartitionFencedException>(async () => await host.Loop.PostAsync(Add("k", 3) with { Epoch = epoch - 1 }, TestStop));

        Assert.Equal((epoch, receipt.Partition), (fenced.Epoch, fenced.Partition));
        Assert.Equal((2, 1), ((await host.AllHandledAsync()).Ledger.Accepted, (await host.AllHandledAsync()).Counters.Fenced));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Post_OfWhatNoHandlerTakes_IsRefusedAndNothingIsTakenOn()
    {
        await using var host = await CreateAsync(Handlers);

        await Assert.ThrowsAsync<UnknownLoopHandlerException>(async () => await host.Loop.PostAsync(new PostRequest("k", new LoopEvent("nobody", Say("x").Body)), TestStop));
        await Refused(new PostRequest("k", new LoopEvent("add", default)));
        await Refused(new PostRequest("k", new LoopEvent("add", System.Text.Json.JsonElement.Parse("\"text\""))));
        await Refused(new PostRequest("a b", Say("x")));
        await Refused(new PostRequest("", Say("x")));
        await Refused(new PostRequest("k", []));
        await Refused(new PostRequest("k", [.. Enumerable.Repeat(Say("x"), PostRequest.MaxEvents + 1)]));
        await Refused(new PostRequest("k", Say(new string('x', PostRequest.MaxBodyBytes))));
        await Refused(new PostRequest("k", Say("x")) { Id = "a b" });

        Assert.Equal(0, (await host.Loop.GetStatusAsync(TestStop)).Ledger.Accepted);

        async Task Refused(PostRequest request) => await Assert.ThrowsAsync<LoopEventException>(async () => await host.Loop.PostAsync(request, TestStop));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Handler_ThatAsksItsOwnLoop_FailsInsteadOfWaitingForItself()
    {
        IEventLoop? loop = null;
        var ask = new LoopHandler<Numbers, Number>("ask", (state, e, _) =>
        {
            loop!.AskAsync(Add("k", e.Value), s_within, CancellationToken.None).AsTask().GetAwaiter().GetResult();
            return state;
        }, EventLoopTestJson.Default.Numbers, EventLoopTestJson.Default.Number);
        await using var host = await CreateAsync(new TestHandlers(ask));
        loop = host.Loop;
        await host.Loop.AskAsync(Add("k", 1), s_within, TestStop);

        await host.Loop.PostAsync(new PostRequest("k", ask.With(new(2))), TestStop);

        var status = await host.UntilAsync(status => status.Ledger.Dead == 1);
        Assert.Contains(status.Partitions, one => one.LastError?.Contains("may not ask its own loop", StringComparison.Ordinal) == true);
    }

    private protected PostRequest Add(string key, int value) => new(key, Handlers.Add.With(new Number(value)));

    private protected LoopEvent Say(string text, int? afterMs = null, bool cancels = false) => Handlers.Remember.With(new Word(text, afterMs, cancels));
}
