using System.Net.ServerSentEvents;
using DistributedPatterns.Gateway.PublishSubscribe;
using DistributedPatterns.PublishSubscribe;
using Microsoft.Extensions.Hosting.Internal;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

namespace DistributedPatterns.Tests.Gateway;

/// <summary>What a stream says when nothing that it is for happens, and when it is cut off.</summary>
public sealed class TopicWatchersTests
{
    private readonly FakeTimeProvider _clock = new();

    private static CancellationToken TestStop => TestContext.Current.CancellationToken;

    [Fact(Timeout = 60_000)]
    public async Task Stream_WithoutAMessageForIt_BeatsEvery15SecondsHoweverBusyOtherTopicsAre()
    {
        await using var topic = new ChannelTopic<byte[]>("topic", new ChannelTopicOptions(), _clock);
        await using var subscription = await topic.SubscribeAsync(new() { Subjects = "mine" }, TestStop);
        await using var events = Watch(subscription);
        Assert.Equal(("open", "0"), await NextAsync(events));

        for (var beat = 1; beat <= 2; beat++)
        {
            var next = NextAsync(events);
            for (var second = 0; second < 15; second++)
            {
                Assert.False(next.IsCompleted);
                await topic.PublishAsync([], "other", TestStop);
                _clock.Advance(TimeSpan.FromSeconds(1));
            }
            Assert.Equal("heartbeat", (await next).Type);
        }
        await topic.PublishAsync("1"u8.ToArray(), "mine", TestStop);
        Assert.Equal(("message", "31"), await NextAsync(events));
    }

    [Fact(Timeout = 60_000)]
    public async Task Stream_ThatIsCutOff_SaysWhyAndEnds()
    {
        await using var topic = new ChannelTopic<byte[]>("topic", new ChannelTopicOptions(), _clock);
        await using var subscription = await topic.SubscribeAsync(new() { Overflow = OverflowPolicy.Disconnect, Capacity = 2 }, TestStop);
        for (var i = 0; i < 3; i++) await topic.PublishAsync("1"u8.ToArray(), cancellationToken: TestStop);
        await using var events = Watch(subscription);
        await NextAsync(events);

        Assert.True(await events.MoveNextAsync());
        Assert.Equal("ended", events.Current.EventType);
        Assert.Contains("Disconnect", events.Current.Data.Reason, StringComparison.Ordinal);
        Assert.False(await events.MoveNextAsync());
    }

    private IAsyncEnumerator<SseItem<TopicEvent>> Watch(ISubscription<byte[]> subscription) =>
        new TopicWatchers(_clock, new ApplicationLifetime(NullLogger<ApplicationLifetime>.Instance)).WatchAsync(subscription, canGoOn: true, TestStop).GetAsyncEnumerator(TestStop);

    /// <summary>Returns the type of the next event, and the number in its id.</summary>
    private static async Task<(string Type, string Number)> NextAsync(IAsyncEnumerator<SseItem<TopicEvent>> events)
    {
        Assert.True(await events.MoveNextAsync());
        return (events.Current.EventType, events.Current.EventId!.Split('-')[1]);
    }
}
