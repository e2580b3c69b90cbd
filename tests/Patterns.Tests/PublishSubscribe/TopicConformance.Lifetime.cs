using DistributedPatterns.PublishSubscribe;

namespace DistributedPatterns.Tests.PublishSubscribe;

/// <summary>Coming late, coming back, leaving and ending.</summary>
public abstract partial class TopicConformance<T>
{
    [Fact(Timeout = HangLimit)]
    public async Task Start_WithTheLast_GivesThoseAndWhatFollows()
    {
        Assert.SkipUnless(Replays, "It keeps nothing.");
        await using var topic = Create(new());
        await topic.PublishAsync(Many(0, 20), cancellationToken: TestStop);

        await using var last = await topic.SubscribeAsync(new() { Start = TopicStart.Last(3) }, TestStop);
        await using var all = await topic.SubscribeAsync(new() { Start = TopicStart.Last(100) }, TestStop);
        await topic.PublishAsync(Payloads.Of(20), cancellationToken: TestStop);

        Assert.Equal(Enumerable.Range(17, 4).Select(Payloads.Of), (await ReadAsync(last, 4)).Select(item => item.Message));
        Assert.Equal(Enumerable.Range(0, 21).Select(Payloads.Of), (await ReadAsync(all, 21)).Select(item => item.Message));
        Assert.Equal((4, 21), (last.Ledger.Published, all.Ledger.Published));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Start_BehindAPosition_GoesOnThere()
    {
        Assert.SkipUnless(Replays, "It keeps nothing.");
        await using var topic = Create(new());
        TopicPosition position;
        await using (var before = await topic.SubscribeAsync(new(), TestStop))
        {
            await topic.PublishAsync(Many(0, 20), cancellationToken: TestStop);
            await ReadAsync(before, 7);
            position = before.Position;
        }

        var published = await topic.PublishAsync(Payloads.Of(20), cancellationToken: TestStop);
        await using var after = await topic.SubscribeAsync(new() { Start = TopicStart.After(TopicPosition.Parse(position.ToString(), null)) }, TestStop);
        await using var behindAll = await topic.SubscribeAsync(new() { Start = TopicStart.After(published) }, TestStop);
        await topic.PublishAsync(Payloads.Of(21), cancellationToken: TestStop);

        Assert.Equal(Enumerable.Range(7, 15).Select(Payloads.Of), (await ReadAsync(after, 15)).Select(item => item.Message));
        Assert.Equal(Payloads.Of(21), Assert.Single(await ReadAsync(behindAll, 1)).Message);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Start_BehindWhatIsNoLongerKept_SaysHowManyAreMissing()
    {
        Assert.SkipUnless(Replays, "It keeps nothing.");
        await using var topic = Create(new(Buffer: 16, Retain: 20));
        TopicPosition position;
        await using (var before = await topic.SubscribeAsync(new(), TestStop))
        {
            await topic.PublishAsync(Many(0, 10), cancellationToken: TestStop);
            await ReadAsync(before, 10);
            position = before.Position;
        }
        await topic.PublishAsync(Many(10, 90), cancellationToken: TestStop);

        await using var after = await topic.SubscribeAsync(new() { Start = TopicStart.After(position) }, TestStop);
        var items = await ReadAsync(after, 16);

        Assert.Equal(TopicItemKind.Gap, items[0].Kind);
        Assert.InRange(items[0].Missed, 70, 74);
        Assert.Equal(11 + items[0].Missed, items[1].Sequence);
        Assert.Equal(90, items[0].Missed + after.Ledger.Received + after.Ledger.Waiting);
        Assert.True(after.Ledger.Balances, $"{after.Ledger}");
    }

    [Fact(Timeout = HangLimit)]
    public async Task Start_BehindAPositionOfAnotherLife_SaysThatNobodyKnowsWhatIsMissing()
    {
        Assert.SkipUnless(Replays, "It keeps nothing.");
        await using var topic = Create(new());
        await topic.PublishAsync(Many(0, 3), cancellationToken: TestStop);

        await using var subscription = await topic.SubscribeAsync(new() { Start = TopicStart.After(new TopicPosition(17, 1_000, 5)) }, TestStop);
        var items = await ReadAsync(subscription, 3);

        Assert.Equal(TopicItemKind.Reset, items[0].Kind);
        Assert.Equal(Enumerable.Range(0, 3).Select(Payloads.Of), items.Skip(1).Select(item => item.Message));
        Assert.True(subscription.Ledger is { Published: 3, Received: 3, Resets: 1, Balances: true }, $"{subscription.Ledger}");
    }

    [Fact(Timeout = HangLimit)]
    public async Task WaitToRead_IsCancelled_ThrowsWithTheCallersTokenAndGoesOnLater()
    {
        await using var topic = Create(new());
        await using var subscription = await topic.SubscribeAsync(new(), TestStop);
        using var caller = new CancellationTokenSource();
        var waiting = subscription.WaitToReadAsync(caller.Token).AsTask();

        await caller.CancelAsync();

        Assert.Equal(caller.Token, (await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting)).CancellationToken);
        await topic.PublishAsync(Payloads.Of(1), cancellationToken: TestStop);
        Assert.Single(await ReadAsync(subscription, 1));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Dispose_OfASubscriptionThatWaits_EndsTheWait()
    {
        await using var topic = Create(new(MaxSubscribers: 1));
        var subscription = await topic.SubscribeAsync(new(), TestStop);
        var waiting = subscription.WaitToReadAsync(TestStop).AsTask();

        await Assert.ThrowsAsync<TooManySubscribersException>(async () => await topic.SubscribeAsync(new(), TestStop));
        await subscription.DisposeAsync();
        await subscription.DisposeAsync();

        Assert.False(await waiting);
        await using var next = await topic.SubscribeAsync(new(), TestStop);
        Assert.Single((await topic.LedgerAsync(TestStop)).Subscriptions);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Dispose_OfTheTopic_LetsSubscribersReadWhatIsHereAndEnd()
    {
        var topic = Create(new());
        await using var subscription = await topic.SubscribeAsync(new(), TestStop);
        await OverfillAsync(topic, subscription, 5);

        await topic.DisposeAsync();

        Assert.Equal(5, (await ReadAsync(subscription, 6)).Count);
        Assert.False(await subscription.WaitToReadAsync(TestStop));
        await Assert.ThrowsAsync<TopicClosedException>(async () => await topic.PublishAsync(Payloads.Of(0), cancellationToken: TestStop));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Ledger_OfTheTopic_ListsItsSubscribers()
    {
        await using var topic = Create(new());
        await using var subscription = await topic.SubscribeAsync(new() { Subjects = "a.*", Capacity = 7, Overflow = OverflowPolicy.DropNewest }, TestStop);
        await OverfillAsync(topic, subscription, 3);

        var ledger = await topic.LedgerAsync(TestStop);

        Assert.Equal((3, Replays ? 3 : 0), (ledger.Published, ledger.Retained));
        Assert.Equal(("a.*", 7, OverflowPolicy.DropNewest, 3), (ledger.Subscriptions[0].Subjects, ledger.Subscriptions[0].Capacity, ledger.Subscriptions[0].Overflow, ledger.Subscriptions[0].Ledger.Published));
    }
}
