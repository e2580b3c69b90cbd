using DistributedPatterns.Diagnostics;
using DistributedPatterns.PublishSubscribe;
using DistributedPatterns.Tests.Guarantees;
using DistributedPatterns.Tests.ProducerConsumer;
using Microsoft.Extensions.Time.Testing;

namespace DistributedPatterns.Tests.PublishSubscribe;

/// <summary>The contract over <see cref="ChannelTopic{T}"/>.</summary>
[Guarantees("publish-subscribe", Variants.Channel, typeof(ChannelTopicTests), typeof(TopicGroupTests))]
[Promises(Guarantee.Order, "one, for all subscribers", nameof(Messages_OneByOneAndTogether_ComeToEverySubscriberInOrder),
    nameof(ManyPublishersAndSubscribers_EveryMessageIsAccountedForAndInOrder))]
[Promises(Guarantee.Delivery, "at most once, and each miss is told with its count; in a group at least once",
    nameof(DropOldest_TheBufferIsFull_KeepsTheNewestAndSaysHowManyAreMissing), nameof(ManyPublishersAndSubscribers_EveryMessageIsAccountedForAndInOrder),
    nameof(TopicGroupTests.Groups_EachGetEverything_AndEachMessageGoesToOneConsumerOfAGroup))]
[DoesNotPromise(Guarantee.ProcessDeath, "the topic is gone; who comes back to another one is told so")]
[DoesNotPromise(Guarantee.StaleHolder, "there is none")]
[Promises(Guarantee.Full, "a subscriber misses the oldest or the newest, is cut off or waited for, as it asks; counted", nameof(DropOldest_TheBufferIsFull_KeepsTheNewestAndSaysHowManyAreMissing),
    nameof(DropNewest_TheBufferIsFull_KeepsTheOldestAndSaysHowManyAreMissing), nameof(Latest_ManyWait_GivesTheLastOne), nameof(Disconnect_OneMoreThanTheBufferTakes_CutsOffAndSaysSo),
    nameof(ChannelTopicTests.Publish_ASubscriberReadsNothingForItsLimit_CutsItOffAndNeverWaitsForItAgain))]
public abstract class ChannelTopicConformance<T>(Payloads<T> payloads) : TopicConformance<T>(payloads)
{
    protected override ITopic<T> Create(TopicSettings settings) => new ChannelTopic<T>(
        "topic", new ChannelTopicOptions { Buffer = settings.Buffer, MaxSubscribers = settings.MaxSubscribers }, new FakeTimeProvider());
}

public sealed class ChannelTopicOfTextTests() : ChannelTopicConformance<string>(new TextPayloads());

public sealed class ChannelTopicOfReadingsTests() : ChannelTopicConformance<Reading>(new ReadingPayloads());

/// <summary>What only the topic in one process does: publishers that wait, and a ring that is read without a lock.</summary>
public sealed class ChannelTopicTests
{
    private const int HangLimit = 60_000;

    private readonly FakeTimeProvider _clock = new();

    private static CancellationToken TestStop => TestContext.Current.CancellationToken;

    [Fact(Timeout = HangLimit)]
    public async Task Publish_ASubscriberIsToBeWaitedFor_GoesOnOnceItHasRead()
    {
        await using var topic = Topic<int>();
        await using var subscription = await topic.SubscribeAsync(new() { Capacity = 2, Overflow = OverflowPolicy.Wait }, TestStop);
        await topic.PublishAsync(Enumerable.Range(1, 2).ToArray(), cancellationToken: TestStop);

        var third = topic.PublishAsync(3, cancellationToken: TestStop).AsTask();
        Assert.False(third.IsCompleted);
        Assert.True(subscription.TryRead(out var item));

        Assert.Equal((1, 3), (item.Message, (await third).Sequence));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Publish_ASubscriberReadsNothingForItsLimit_CutsItOffAndNeverWaitsForItAgain()
    {
        await using var topic = Topic<int>();
        await using var stuck = await topic.SubscribeAsync(new() { Capacity = 2, Overflow = OverflowPolicy.Wait, WaitLimit = TimeSpan.FromSeconds(5) }, TestStop);
        await using var other = await topic.SubscribeAsync(new(), TestStop);
        await topic.PublishAsync(Enumerable.Range(1, 2).ToArray(), cancellationToken: TestStop);

        var third = topic.PublishAsync(3, cancellationToken: TestStop).AsTask();
        _clock.Advance(TimeSpan.FromSeconds(4.9));
        Assert.False(third.IsCompleted);
        _clock.Advance(TimeSpan.FromSeconds(0.1));

        await third;
        for (var i = 4; i <= 10; i++) Assert.True(topic.PublishAsync(i, cancellationToken: TestStop).AsTask().IsCompletedSuccessfully);
        var cutOff = await Assert.ThrowsAsync<SubscriberDisconnectedException>(async () => await stuck.WaitToReadAsync(TestStop));
        Assert.Equal((OverflowPolicy.Wait, 2), (cutOff.Overflow, cutOff.Capacity));
        Assert.True(stuck.Ledger is { Received: 0, Balances: true }, $"{stuck.Ledger}");
        Assert.Equal(10, other.Ledger.Waiting);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Publish_ThatWaits_EndsWithItsTokenTheTopicOrTheSubscriber()
    {
        var topic = Topic<int>();
        await using var subscription = await topic.SubscribeAsync(new() { Capacity = 1, Overflow = OverflowPolicy.Wait }, TestStop);
        await topic.PublishAsync(1, cancellationToken: TestStop);
        using var caller = new CancellationTokenSource();

        var cancelled = topic.PublishAsync(2, cancellationToken: caller.Token).AsTask();
        await caller.CancelAsync();
        Assert.Equal(caller.Token, (await Assert.ThrowsAnyAsync<OperationCanceledException>(() => cancelled)).CancellationToken);

        await using (var leaver = await topic.SubscribeAsync(new() { Capacity = 1, Overflow = OverflowPolicy.Wait }, TestStop))
        {
            Assert.True(subscription.TryRead(out var _));
            await topic.PublishAsync(3, cancellationToken: TestStop);
            Assert.True(subscription.TryRead(out var _));
            var waits = topic.PublishAsync(4, cancellationToken: TestStop).AsTask();
            Assert.False(waits.IsCompleted);
            await leaver.DisposeAsync();
            await waits;
        }

        var refused = topic.PublishAsync(5, cancellationToken: TestStop).AsTask();
        await topic.DisposeAsync();
        await Assert.ThrowsAsync<TopicClosedException>(() => refused);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Items_ReadWhileTheRingIsOverwritten_AreNeverTorn()
    {
        const int Count = 300_000;
        await using var topic = Topic<(long A, long B, long C)>();
        List<ISubscription<(long A, long B, long C)>> subscriptions = [];
        foreach (var capacity in (int[])[1, 3, 8]) subscriptions.Add(await topic.SubscribeAsync(new() { Capacity = capacity }, TestStop));

        var reading = subscriptions.Select(subscription => Task.Run(async () =>
        {
            var items = new TopicItem<(long A, long B, long C)>[5];
            var (last, received) = (0L, 0L);
            while (await subscription.WaitToReadAsync(TestStop))
            {
                var read = subscription.TryRead(items);
                foreach (var item in items.AsSpan(0, read))
                {
                    if (item.IsMessage) Assert.Equal((item.Sequence, item.Sequence, item.Sequence), item.Message);
                    Assert.Equal(last + (item.IsMessage ? 1 : item.Missed), item.Sequence);
                    (last, received) = (item.Sequence, received + (item.IsMessage ? 1 : 0));
                }
            }
            Assert.Equal(Count, last);
            return received;
        })).ToArray();
        for (var i = 1L; i <= Count; i++) await topic.PublishAsync((i, i, i), cancellationToken: TestStop);
        await topic.DisposeAsync();

        foreach (var (read, subscription) in (await Task.WhenAll(reading)).Zip(subscriptions)) Assert.Equal((read, Count), (subscription.Ledger.Received, subscription.Ledger.Published));
    }

    [Theory]
    [InlineData("**", "a.b", true)]
    [InlineData("a.*", "a.b", true)]
    [InlineData("a.*", "a", false)]
    [InlineData("a.*", "a.b.c", false)]
    [InlineData("a.**", "a", true)]
    [InlineData("a.**", "a.b.c", true)]
    [InlineData("a.**", "b.a", false)]
    [InlineData("*.b.*", "a.b.c", true)]
    [InlineData("a.b", "a.bc", false)]
    [InlineData("a.b", "a", false)]
    public void Pattern_OverSubjects_MatchesBySegment(string pattern, string subject, bool expected) => Assert.Equal(expected, new SubjectPattern(pattern).Matches(subject));

    [Theory]
    [InlineData("")]
    [InlineData(".")]
    [InlineData("a.")]
    [InlineData("a b")]
    [InlineData("**.a")]
    [InlineData("a*")]
    [InlineData("a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q")]
    public void Pattern_OfWhatIsNone_IsRefused(string pattern)
    {
        Assert.Throws<ArgumentException>(() => new SubjectPattern(pattern));
        Assert.Throws<ArgumentException>(() => SubjectPattern.CheckSubject(pattern));
    }

    [Theory]
    [InlineData("")]
    [InlineData("1-2")]
    [InlineData("1-2-3-4")]
    [InlineData("1-2-x")]
    [InlineData("1--2-3")]
    [InlineData("1-2-99999999999999999")]
    public void Position_OfWhatIsNone_IsNotParsed(string text) => Assert.False(TopicPosition.TryParse(text, null, out _));

    private ChannelTopic<T> Topic<T>() => new("topic", new ChannelTopicOptions { Buffer = 8 }, _clock);
}
