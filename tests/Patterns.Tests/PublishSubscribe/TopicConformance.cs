using DistributedPatterns.PublishSubscribe;
using DistributedPatterns.Tests.ProducerConsumer;
using DistributedPatterns.Tests.Support;

namespace DistributedPatterns.Tests.PublishSubscribe;

/// <summary>What a topic of these tests is made with.</summary>
public sealed record TopicSettings(int Buffer = 1_024, int MaxSubscribers = 1_024, int Retain = 10_000);

/// <summary>What every kind of <see cref="ITopic{T}"/> keeps. A kind's class says how to make one, and what it does not promise.</summary>
public abstract partial class TopicConformance<T>(Payloads<T> payloads)
{
    /// <summary>Far above what any test takes: a limit for hangs, in milliseconds.</summary>
    protected const int HangLimit = 90_000;

    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(40);

    protected static CancellationToken TestStop => TestContext.Current.CancellationToken;

    /// <summary>Gets whether it keeps what was published, for those who come late.</summary>
    protected virtual bool Replays => true;

    protected Payloads<T> Payloads { get; } = payloads;

    protected abstract ITopic<T> Create(TopicSettings settings);

    [Fact(Timeout = HangLimit)]
    public async Task Messages_OneByOneAndTogether_ComeToEverySubscriberInOrder()
    {
        await using var topic = Create(new());
        await using var first = await topic.SubscribeAsync(new(), TestStop);
        await using var second = await topic.SubscribeAsync(new(), TestStop);

        for (var i = 0; i < 10; i++) await topic.PublishAsync(Payloads.Of(i), cancellationToken: TestStop);
        await topic.PublishAsync(Many(10, 300), "more.of-them", TestStop);

        foreach (var subscription in (ISubscription<T>[])[first, second])
        {
            var items = await ReadAsync(subscription, 310);
            Assert.All(items, (item, i) => Assert.Equal((Payloads.Of(i), i < 10 ? SubjectPattern.Default : "more.of-them"), (item.Message, item.Subject)));
            AssertInOrder(items);
            Assert.Equal(new SubscriptionLedger(310, 310, 0, 0, 0, 0), subscription.Ledger);
            Assert.False(subscription.TryRead(out var _));
        }
    }

    [Fact(Timeout = HangLimit)]
    public async Task Subscriber_ThatComesLater_GetsWhatIsPublishedFromThenOn()
    {
        await using var topic = Create(new());
        await using var other = await topic.SubscribeAsync(new(), TestStop);
        await topic.PublishAsync(Many(0, 5), cancellationToken: TestStop);

        // An ephemeral topic knows of a message once it is here.
        if (!Replays) await ReadAsync(other, 5);
        await using var late = await topic.SubscribeAsync(new(), TestStop);
        await topic.PublishAsync(Payloads.Of(5), cancellationToken: TestStop);

        Assert.Equal(Payloads.Of(5), Assert.Single(await ReadAsync(late, 1)).Message);
        Assert.Equal(1, late.Ledger.Published);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Subjects_ThatDoNotMatch_AreCountedAndNotSeen()
    {
        await using var topic = Create(new());
        await using var some = await topic.SubscribeAsync(new() { Subjects = "orders.*.created" }, TestStop);
        await using var below = await topic.SubscribeAsync(new() { Subjects = "orders.**" }, TestStop);
        string[] subjects = ["orders.eu.created", "orders", "orders.eu.paid", "orders.us.created", "stock.eu.created", "orders.eu.created.again"];

        for (var i = 0; i < subjects.Length; i++) await topic.PublishAsync(Payloads.Of(i), subjects[i], TestStop);

        Assert.Equal([subjects[0], subjects[3]], (await ReadAsync(some, 2)).Select(item => item.Subject));
        Assert.Equal(5, (await ReadAsync(below, 5)).Count);
        await UntilAsync(some, ledger => ledger is { Received: 2, Filtered: 4, Waiting: 0 });
        Assert.Equal((5, 1), (below.Ledger.Received, below.Ledger.Filtered));
        await Assert.ThrowsAsync<ArgumentException>(async () => await topic.SubscribeAsync(new() { Subjects = "a.**.b" }, TestStop));
        await Assert.ThrowsAsync<ArgumentException>(async () => await topic.PublishAsync(Payloads.Of(0), "a.*", TestStop));
    }

    [Fact(Timeout = HangLimit)]
    public async Task DropOldest_TheBufferIsFull_KeepsTheNewestAndSaysHowManyAreMissing()
    {
        await using var topic = Create(new(Buffer: 16));
        await using var subscription = await topic.SubscribeAsync(new() { Capacity = 8 }, TestStop);

        await OverfillAsync(topic, subscription, 50);

        var items = await ReadAsync(subscription, 8);
        Assert.Equal((TopicItemKind.Dropped, 42), (items[0].Kind, items[0].Missed));
        Assert.Equal(Enumerable.Range(42, 8).Select(Payloads.Of), items.Skip(1).Select(item => item.Message));
        Assert.Equal(new SubscriptionLedger(50, 8, 0, 42, 0, 0), subscription.Ledger);
    }

    [Fact(Timeout = HangLimit)]
    public async Task DropNewest_TheBufferIsFull_KeepsTheOldestAndSaysHowManyAreMissing()
    {
        await using var topic = Create(new(Buffer: 16));
        await using var subscription = await topic.SubscribeAsync(new() { Capacity = 8, Overflow = OverflowPolicy.DropNewest }, TestStop);

        await OverfillAsync(topic, subscription, 50);
        var items = new List<TopicItem<T>>();
        while (subscription.TryRead(out var item)) items.Add(item);
        await topic.PublishAsync(Payloads.Of(50), cancellationToken: TestStop);

        Assert.Equal(Enumerable.Range(0, 8).Select(Payloads.Of), items.Take(8).Select(item => item.Message));
        Assert.Equal((TopicItemKind.Dropped, 42), (items[8].Kind, items[8].Missed));
        Assert.Equal(Payloads.Of(50), Assert.Single(await ReadAsync(subscription, 1)).Message);
        Assert.Equal(new SubscriptionLedger(51, 9, 0, 42, 0, 0), subscription.Ledger);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Latest_ManyWait_GivesTheLastOne()
    {
        await using var topic = Create(new(Buffer: 16));
        await using var subscription = await topic.SubscribeAsync(new() { Overflow = OverflowPolicy.Latest }, TestStop);

        await OverfillAsync(topic, subscription, 50);

        var items = await ReadAsync(subscription, 1);
        Assert.Equal((TopicItemKind.Dropped, 49), (items[0].Kind, items[0].Missed));
        Assert.Equal(Payloads.Of(49), items[1].Message);
        Assert.False(subscription.TryRead(out var _));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Latest_OfSomeSubjects_IsNotLostToOthers()
    {
        await using var topic = Create(new(Buffer: 64));
        await using var subscription = await topic.SubscribeAsync(new() { Overflow = OverflowPolicy.Latest, Subjects = "wanted" }, TestStop);
        await using var witness = await topic.SubscribeAsync(new(), TestStop);

        await topic.PublishAsync(Many(0, 3), "wanted", TestStop);
        await topic.PublishAsync(Many(3, 20), "others", TestStop);
        await ReadAsync(witness, 23);

        Assert.True(subscription.TryRead(out var mark));
        var between = subscription.Position;
        Assert.True(subscription.TryRead(out var item));
        Assert.Equal((TopicItemKind.Dropped, 2, 2), (mark.Kind, mark.Missed, between.Sequence));
        Assert.Equal((Payloads.Of(2), 23), (item.Message, subscription.Position.Sequence));
        Assert.Equal(new SubscriptionLedger(23, 1, 20, 2, 0, 0), subscription.Ledger);
        Assert.False(subscription.TryRead(out var _));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Disconnect_OneMoreThanTheBufferTakes_CutsOffAndSaysSo()
    {
        await using var topic = Create(new(Buffer: 16));
        await using var full = await topic.SubscribeAsync(new() { Capacity = 9, Overflow = OverflowPolicy.Disconnect }, TestStop);
        await using var over = await topic.SubscribeAsync(new() { Capacity = 8, Overflow = OverflowPolicy.Disconnect }, TestStop);

        await OverfillAsync(topic, full, 9);

        Assert.Equal(9, (await ReadAsync(full, 9)).Count);
        Assert.False(over.TryRead(out var _));
        var cutOff = await Assert.ThrowsAsync<SubscriberDisconnectedException>(async () => await over.WaitToReadAsync(TestStop));
        Assert.Equal((OverflowPolicy.Disconnect, 8, 9), (cutOff.Overflow, cutOff.Capacity, cutOff.Missed));
        Assert.Equal(new SubscriptionLedger(9, 0, 0, 9, 0, 0), over.Ledger);
        Assert.Equal(1, (await topic.LedgerAsync(TestStop)).Disconnected);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Wait_TheReaderIsSlow_LosesNothing()
    {
        Assert.SkipUnless(Replays, "It keeps nothing that a subscriber could come back for.");
        await using var topic = Create(new(Buffer: 16));
        await using var subscription = await topic.SubscribeAsync(new() { Capacity = 8, Overflow = OverflowPolicy.Wait, WaitLimit = TimeSpan.FromMinutes(10) }, TestStop);

        var publishing = Task.Run(() => topic.PublishAsync(Many(0, 500), cancellationToken: TestStop).AsTask());
        var items = new List<TopicItem<T>>();
        while (items.Count < 500)
        {
            items.AddRange(await ReadAsync(subscription, 1));
            if (items.Count % 50 == 0) await Task.Yield();
        }

        await publishing;
        Assert.Equal(Enumerable.Range(0, 500).Select(Payloads.Of), items.Select(item => item.Message));
        Assert.Equal(new SubscriptionLedger(500, 500, 0, 0, 0, 0), subscription.Ledger);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Subscribers_ThatReadNothing_DoNotSlowTheOthers()
    {
        await using var topic = Create(new());
        List<ISubscription<T>> stuck = [];
        foreach (var overflow in (OverflowPolicy[])[OverflowPolicy.DropOldest, OverflowPolicy.DropNewest, OverflowPolicy.Latest, OverflowPolicy.Disconnect])
            stuck.Add(await topic.SubscribeAsync(new() { Capacity = 4, Overflow = overflow }, TestStop));
        await using var reader = await topic.SubscribeAsync(new(), TestStop);

        await topic.PublishAsync(Many(0, 1_000), cancellationToken: TestStop);

        AssertInOrder(await ReadAsync(reader, 1_000));
        foreach (var subscription in stuck)
        {
            Assert.True(subscription.Ledger is { Published: 1_000, Received: 0, Balances: true }, $"{subscription.Ledger}");
            await subscription.DisposeAsync();
        }
    }

    [Fact(Timeout = HangLimit)]
    public async Task ManyPublishersAndSubscribers_EveryMessageIsAccountedForAndInOrder()
    {
        const int Publishers = 4;
        const int Each = 250;
        await using var topic = Create(new(Buffer: 64));
        List<ISubscription<T>> subscriptions = [];
        foreach (var (overflow, capacity) in ((OverflowPolicy, int)[])[(OverflowPolicy.DropOldest, 64), (OverflowPolicy.DropOldest, 5), (OverflowPolicy.DropNewest, 5), (OverflowPolicy.Latest, 1)])
            subscriptions.Add(await topic.SubscribeAsync(new() { Overflow = overflow, Capacity = capacity }, TestStop));

        var reading = subscriptions.Select(subscription => Task.Run(async () =>
        {
            var (sequence, seen) = (0L, 0L);
            while (seen < Publishers * Each)
            {
                await subscription.WaitToReadAsync(TestStop);
                while (subscription.TryRead(out var item))
                {
                    Assert.True(item.Sequence > sequence || sequence == 0);
                    if (sequence > 0) Assert.Equal(item.IsMessage ? 1 : item.Missed, item.Sequence - sequence);
                    (sequence, seen) = (item.Sequence, seen + (item.IsMessage ? 1 : item.Missed));
                }
            }
        })).ToArray();
        await Task.WhenAll(Enumerable.Range(0, Publishers).Select(publisher => Task.Run(async () =>
        {
            for (var i = 0; i < Each; i++) await topic.PublishAsync(Payloads.Of(i), $"p{publisher}", TestStop);
        })));
        await Task.WhenAll(reading);

        foreach (var subscription in subscriptions)
        {
            Assert.True(subscription.Ledger is { Published: Publishers * Each, Waiting: 0, Balances: true }, $"{subscription.Ledger}");
            await subscription.DisposeAsync();
        }
    }

    protected static async Task<List<TopicItem<T>>> ReadAsync(ISubscription<T> subscription, int messages)
    {
        var items = new List<TopicItem<T>>();
        for (var count = 0; count < messages && await subscription.WaitToReadAsync(TestStop);)
        {
            while (count < messages && subscription.TryRead(out var item))
            {
                items.Add(item);
                count += item.IsMessage ? 1 : 0;
            }
        }
        return items;
    }

    protected static void AssertInOrder(IReadOnlyList<TopicItem<T>> items)
    {
        for (var i = 1; i < items.Count; i++) Assert.Equal(items[i - 1].Sequence + 1, items[i].Sequence);
    }

    protected static Task UntilAsync(ISubscription<T> subscription, Func<SubscriptionLedger, bool> condition) => Eventually.TrueAsync(() =>
    {
        Assert.False(subscription.TryRead(out var _)); // reading passes over what is filtered
        return condition(subscription.Ledger);
    }, s_limit, () => $"{subscription.Ledger}");

    protected ReadOnlyMemory<T> Many(int first, int count) => Enumerable.Range(first, count).Select(Payloads.Of).ToArray();

    /// <summary>Publishes, and waits until it is all here.</summary>
    private async Task OverfillAsync(ITopic<T> topic, ISubscription<T> subscription, int count)
    {
        await topic.PublishAsync(Many(0, count), cancellationToken: TestStop);
        await Eventually.TrueAsync(() => subscription.Ledger.Published == count, s_limit, () => $"{subscription.Ledger}");
    }
}
