using System.Collections.Concurrent;
using DistributedPatterns.Payloads;
using DistributedPatterns.ProducerConsumer;
using DistributedPatterns.PublishSubscribe;
using DistributedPatterns.Tests.Support;
using Microsoft.Extensions.Logging.Abstractions;
using StackExchange.Redis;

namespace DistributedPatterns.Tests.PublishSubscribe;

/// <summary>Groups in both variants: each message to one of their consumers, and none lost when a relay or a consumer is gone.</summary>
public sealed class TopicGroupTests(SharedRedis shared)
{
    private const int HangLimit = 90_000;

    private readonly ConcurrentDictionary<string, IWorkQueue<int>> _queues = new();

    private static CancellationToken TestStop => TestContext.Current.CancellationToken;

    [Theory(Timeout = HangLimit)]
    [InlineData(null)]
    [InlineData(RedisKind.Redis)]
    [InlineData(RedisKind.Garnet)]
    public async Task Groups_EachGetEverything_AndEachMessageGoesToOneConsumerOfAGroup(RedisKind? kind)
    {
        await using var redis = await ConnectAsync(kind);
        await using var topic = Topic(redis);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(TestStop);
        var taken = new ConcurrentDictionary<string, ConcurrentBag<int>>();
        List<Task> running = [];
        foreach (var name in (string[])["billing", "billing", "shipping"]) // two processes of billing
        {
            var group = new TopicGroup<int>(topic, name, Queue(redis, name), new TopicGroupOptions { Lease = TimeSpan.FromSeconds(1) }, TimeProvider.System);
            running.Add(group.RunAsync(stop.Token));
            running.Add(ConsumeAsync(group, taken.GetOrAdd(name, _ => []), stop.Token));
        }
        await StartedAsync(topic, groups: 2);

        await topic.PublishAsync(Enumerable.Range(0, 500).ToArray(), cancellationToken: TestStop);

        foreach (var name in (string[])["billing", "shipping"])
            await Eventually.TrueAsync(() => taken[name].Count >= 500, TimeSpan.FromSeconds(60), () => $"{name} has {taken[name].Count}");
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Task.WhenAll(running));
        Assert.All(taken.Values, all => Assert.Equal(Enumerable.Range(0, 500), all.Order()));
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(null)]
    [InlineData(RedisKind.Redis)]
    [InlineData(RedisKind.Garnet)]
    public async Task Relay_IsGoneForAWhile_GoesOnWhereItWas(RedisKind? kind)
    {
        await using var redis = await ConnectAsync(kind);
        await using var topic = Topic(redis);
        var queue = Queue(redis, "group");
        var first = new TopicGroup<int>(topic, "group", queue, new TopicGroupOptions { Lease = TimeSpan.FromMilliseconds(500) }, TimeProvider.System);
        using (var stop = CancellationTokenSource.CreateLinkedTokenSource(TestStop))
        {
            var running = first.RunAsync(stop.Token);
            await StartedAsync(topic, groups: 1);
            await topic.PublishAsync(Enumerable.Range(0, 10).ToArray(), cancellationToken: TestStop);
            await Eventually.TrueAsync(() => first.Relayed == 10, TimeSpan.FromSeconds(40), () => $"{first.Relayed}");
            await stop.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => running);
        }
        await topic.PublishAsync(Enumerable.Range(10, 10).ToArray(), cancellationToken: TestStop);

        var second = new TopicGroup<int>(topic, "group", queue, new TopicGroupOptions { Lease = TimeSpan.FromMilliseconds(500) }, TimeProvider.System);
        using var end = CancellationTokenSource.CreateLinkedTokenSource(TestStop);
        var relaying = second.RunAsync(end.Token);
        await Eventually.TrueAsync(async () => (await queue.LedgerAsync(TestStop)).In == 20, TimeSpan.FromSeconds(40), () => $"{second.Relayed}");

        await queue.SealAsync(TestStop);
        await topic.PublishAsync(99, cancellationToken: TestStop);
        await relaying; // the queue takes nothing more
        Assert.Equal((20, 0), ((await queue.LedgerAsync(TestStop)).In, second.Missed));
    }

    [Fact]
    public async Task Group_OfAnEphemeralTopic_IsRefused()
    {
        await using var redis = await ConnectAsync(RedisKind.Garnet);
        await using var topic = new RedisEphemeralTopic<int>(redis!, "topic", PayloadCodec.Packed<int>(), new RedisTopicOptions(), TimeProvider.System);

        Assert.Throws<UnsupportedSubscriptionException>(() => new TopicGroup<int>(topic, "group", Queue(null, "group"), new TopicGroupOptions(), TimeProvider.System));
    }

    private static async Task ConsumeAsync(TopicGroup<int> group, ConcurrentBag<int> taken, CancellationToken cancellationToken)
    {
        while (true)
        {
            foreach (var delivery in await group.Queue.ReserveAsync(10, cancellationToken))
            {
                if (await delivery.AckAsync(cancellationToken: cancellationToken) == SettleOutcome.Settled) taken.Add(delivery.Payload);
            }
        }
    }

    /// <summary>Waits until the groups have begun: what is published from then on is theirs.</summary>
    private static Task StartedAsync(ITopic<int> topic, int groups) => Eventually.TrueAsync(
        async () => (await topic.LedgerAsync(TestStop)).Subscriptions.Count >= groups,
        TimeSpan.FromSeconds(40), () => "no relay has begun");

    private async Task<ConnectionMultiplexer?> ConnectAsync(RedisKind? kind) => kind is { } wanted ? await (await shared.OfAsync(wanted)).ConnectAsync() : null;

    private static ITopic<int> Topic(ConnectionMultiplexer? redis) => redis is null
        ? new ChannelTopic<int>("topic", new ChannelTopicOptions(), TimeProvider.System)
        : new RedisRetainedTopic<int>(redis, SharedRedis.NewTag(), PayloadCodec.Packed<int>(), new RedisRetainedTopicOptions(), TimeProvider.System, NullLogger<RedisRetainedTopic<int>>.Instance);

    private IWorkQueue<int> Queue(ConnectionMultiplexer? redis, string name) => _queues.GetOrAdd(name, _ => redis is null
        ? new ChannelWorkQueue<int>(name, new ChannelWorkQueueOptions(), TimeProvider.System, NullLogger<ChannelWorkQueue<int>>.Instance)
        : new RedisWorkQueue<int>(redis, SharedRedis.NewTag(), PayloadCodec.Packed<int>(), new RedisWorkQueueOptions(), TimeProvider.System, NullLogger<RedisWorkQueue<int>>.Instance));
}
