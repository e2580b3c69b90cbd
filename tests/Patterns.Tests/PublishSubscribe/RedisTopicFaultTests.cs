using System.Collections.Concurrent;
using DistributedPatterns.Payloads;
using DistributedPatterns.PublishSubscribe;
using DistributedPatterns.Tests.Support;
using Microsoft.Extensions.Logging.Abstractions;
using StackExchange.Redis;

namespace DistributedPatterns.Tests.PublishSubscribe;

/// <summary>Redis dies, freezes, or forgets: received + dropped + gap = published for every subscriber, and what was acknowledged is read.</summary>
public sealed class RedisTopicFaultTests
{
    private const int HangLimit = 120_000;

    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(60);

    private static CancellationToken TestStop => TestContext.Current.CancellationToken;

    [Theory(Timeout = HangLimit)]
    [InlineData(RedisKind.Redis)]
    [InlineData(RedisKind.Garnet)]
    public async Task Retained_RedisIsKilledInMidRun_EveryAcknowledgedMessageIsReadOnce(RedisKind kind)
    {
        await using var server = await RedisBackend.StartAsync(kind, waitForLog: true);
        await using var redis = await server.ConnectAsync();
        await using var other = await server.ConnectAsync();
        await using var publisher = Retained(redis, "topic");
        await using var process = Retained(other, "topic");
        await using var lossless = await process.SubscribeAsync(new() { Overflow = OverflowPolicy.Wait }, TestStop);
        await using var small = await process.SubscribeAsync(new() { Capacity = 4 }, TestStop);
        await using var stuck = await process.SubscribeAsync(new() { Capacity = 4, Overflow = OverflowPolicy.DropNewest }, TestStop);
        var acknowledged = new ConcurrentDictionary<long, int>();
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(TestStop);

        var publishing = Enumerable.Range(0, 3).Select(i => PublishAsync(publisher, i * 1_000_000, acknowledged, stop.Token)).ToArray();
        for (var round = 0; round < 2; round++)
        {
            var before = acknowledged.Count;
            await Eventually.TrueAsync(() => acknowledged.Count >= before + 100, s_limit, () => $"{acknowledged.Count} were published");
            await server.KillAsync();
            await server.RestartAsync();
        }
        var last = acknowledged.Count;
        await Eventually.TrueAsync(() => acknowledged.Count >= last + 100, s_limit, () => $"{acknowledged.Count} were published");
        await stop.CancelAsync();
        await Task.WhenAll(publishing);

        var end = acknowledged.Keys.Max();
        var items = await ReadUntilAsync(lossless, end);
        Assert.All(items, item => Assert.True(item.IsMessage, $"{item}"));
        Assert.Equal(Enumerable.Range(1, (int)end).Select(n => (long)n), items.Select(item => item.Sequence)); // none twice, none missing
        Assert.Equal(end, items.Select(item => item.Message).Distinct().Count()); // a retry after a lost reply published nothing twice
        Assert.All(acknowledged, pair => Assert.Equal(pair.Value, items[(int)pair.Key - 1].Message));
        foreach (var subscription in (ISubscription<int>[])[lossless, small, stuck])
        {
            await ReadUntilAsync(subscription, end);
            Assert.True(subscription.Ledger is { Gap: 0, Resets: 0, Waiting: 0, Balances: true } && subscription.Ledger.Published == end, $"{subscription.Ledger}");
        }
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(RedisKind.Redis)]
    [InlineData(RedisKind.Garnet)]
    public async Task Ephemeral_RedisIsKilledInMidRun_WhatIsMissingIsAGapWithItsCount(RedisKind kind)
    {
        await using var server = await RedisBackend.StartAsync(kind);
        await using var redis = await ConnectImpatientAsync(server);
        await using var other = await server.ConnectAsync();
        await using var publisher = Ephemeral(redis);
        await using var process = Ephemeral(other);
        await using var subscription = await process.SubscribeAsync(new(), TestStop);
        await using var small = await process.SubscribeAsync(new() { Capacity = 2 }, TestStop);
        await TryPublishAsync(publisher, 1);
        await Eventually.TrueAsync(() => subscription.Ledger.Published == 1, s_limit, () => $"{subscription.Ledger}");

        await server.KillAsync();
        await Task.WhenAll(Enumerable.Range(2, 5).Select(i => TryPublishAsync(publisher, i)));
        await server.RestartAsync();
        var sent = 6;
        await Eventually.TrueAsync(async () =>
        {
            await TryPublishAsync(publisher, ++sent);
            return subscription.Ledger.Published > 6;
        }, s_limit, () => $"{subscription.Ledger}");
        while (!await TryPublishAsync(publisher, ++sent)) { } // what was not sent shows as a gap before the next that was
        await Eventually.TrueAsync(() => subscription.Ledger.Published == sent, s_limit, () => $"{subscription.Ledger} of {sent}");

        var items = new List<TopicItem<int>>();
        while (subscription.TryRead(out var item)) items.Add(item);
        while (small.TryRead(out _)) { }
        Assert.True(subscription.Ledger.Gap > 0, $"{subscription.Ledger}");
        Assert.Equal(sent, items.Sum(item => item.IsMessage ? 1 : item.Missed));
        Assert.All(items.Where(item => item.IsMessage), item => Assert.Equal(item.Sequence, item.Message)); // each at its own number, so the gaps are where messages are missing
        foreach (var ledger in (SubscriptionLedger[])[subscription.Ledger, small.Ledger]) Assert.True(ledger.Balances && ledger.Published == sent && ledger.Waiting == 0, $"{ledger}");
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(RedisKind.Redis)]
    [InlineData(RedisKind.Garnet)]
    public async Task Retained_TheLogIsLost_SubscribersAreToldAndGoOn(RedisKind kind)
    {
        await using var server = await RedisBackend.StartAsync(kind);
        await using var redis = await server.ConnectAsync();
        await using var topic = Retained(redis, "topic");
        await using var subscription = await topic.SubscribeAsync(new(), TestStop);
        for (var i = 0; i < 5; i++) await topic.PublishAsync(i, cancellationToken: TestStop);
        await ReadUntilAsync(subscription, 5);

        await redis.GetDatabase().KeyDeleteAsync(["{topic.topic}:log", "{topic.topic}:meta", "{topic.topic}:seen"]);
        for (var i = 5; i < 8; i++) await topic.PublishAsync(i, cancellationToken: TestStop);

        var items = new List<TopicItem<int>>();
        while (items.Count(item => item.IsMessage) < 3 && await subscription.WaitToReadAsync(TestStop))
            while (subscription.TryRead(out var item)) items.Add(item);
        Assert.Equal(TopicItemKind.Reset, items[0].Kind);
        Assert.Equal([5, 6, 7], items.Where(item => item.IsMessage).Select(item => item.Message));
        Assert.True(subscription.Ledger is { Published: 8, Received: 8, Balances: true, Resets: >= 1 }, $"{subscription.Ledger}");
    }

    [Fact(Timeout = HangLimit)]
    public async Task Retained_TheEndOfTheLogIsLostAndWrittenAnew_SubscribersAreTold()
    {
        await using var server = await RedisBackend.StartAsync(RedisKind.Redis);
        await using var redis = await server.ConnectAsync();
        await using var topic = Retained(redis, "topic");
        for (var i = 0; i < 3; i++) await topic.PublishAsync(i, cancellationToken: TestStop);
        var database = redis.GetDatabase();
        var meta = await database.HashGetAllAsync("{topic.topic}:meta");
        var position = default(TopicPosition);
        for (var i = 3; i < 5; i++) position = await topic.PublishAsync(i, cancellationToken: TestStop);

        // As a server that is killed before its log is on disk.
        await database.SortedSetRemoveRangeByRankAsync("{topic.topic}:log", -2, -1);
        await database.KeyDeleteAsync("{topic.topic}:meta");
        await database.HashSetAsync("{topic.topic}:meta", meta);
        for (var i = 13; i < 16; i++) await topic.PublishAsync(i, cancellationToken: TestStop);

        await using var subscription = await topic.SubscribeAsync(new() { Start = TopicStart.After(position) }, TestStop);
        var items = await ReadUntilAsync(subscription, 6);
        Assert.Equal(TopicItemKind.Reset, items[0].Kind);
        Assert.Equal([13, 14, 15], items.Where(item => item.IsMessage).Select(item => item.Message));
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(RedisKind.Redis)]
    [InlineData(RedisKind.Garnet)]
    public async Task Retained_RedisIsFrozen_APublishThatIsNotAnsweredIsThereOnce(RedisKind kind)
    {
        await using var server = await RedisBackend.StartAsync(kind);
        await using var redis = await ConnectImpatientAsync(server);
        await using var topic = Retained(redis, "topic");
        await topic.PublishAsync(1, cancellationToken: TestStop);

        await server.PauseAsync();
        var publishing = topic.PublishAsync(2, cancellationToken: TestStop).AsTask();
        await Assert.ThrowsAsync<TimeoutException>(() => publishing.WaitAsync(TimeSpan.FromSeconds(2), TimeProvider.System, TestStop)); // several tries are on their way by now
        await server.ResumeAsync();
        await publishing;
        await topic.PublishAsync(3, cancellationToken: TestStop);

        await using var subscription = await topic.SubscribeAsync(new() { Start = TopicStart.Last(100) }, TestStop);
        Assert.Equal([1, 2, 3], (await ReadUntilAsync(subscription, 3)).Select(item => item.Message));
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(RedisKind.Redis)]
    [InlineData(RedisKind.Garnet)]
    public async Task Subscribers_ThatReadNothingOfLargeMessages_DoNotHoldUpPublishers(RedisKind kind)
    {
        const int Messages = 400; // 24 MiB: far more than the buffers of sockets take
        await using var server = await RedisBackend.StartAsync(kind);
        await using var redis = await server.ConnectAsync();
        await using var other = await server.ConnectAsync();
        var message = new byte[60 * 1024];
        foreach (var (mine, theirs) in ((ITopic<byte[]>, ITopic<byte[]>)[])[(RetainedBytes(redis), RetainedBytes(other)), (EphemeralBytes(redis), EphemeralBytes(other))])
        {
            await using var stuck = await theirs.SubscribeAsync(new() { Capacity = 4 }, TestStop);

            for (var i = 0; i < Messages; i++) await mine.PublishAsync(message, cancellationToken: TestStop).AsTask().WaitAsync(s_limit, TimeProvider.System, TestStop);

            await Eventually.TrueAsync(() => stuck.Ledger.Published == Messages, s_limit, () => $"{stuck.Ledger}");
            await mine.DisposeAsync();
            await theirs.DisposeAsync();
        }

        static RedisRetainedTopic<byte[]> RetainedBytes(ConnectionMultiplexer redis) => new(
            redis, "large", PayloadCodec.Bytes, new RedisRetainedTopicOptions { Buffer = 16, Retain = 16 }, TimeProvider.System, NullLogger<RedisRetainedTopic<byte[]>>.Instance);

        static RedisEphemeralTopic<byte[]> EphemeralBytes(ConnectionMultiplexer redis) => new(redis, "large", PayloadCodec.Bytes, new RedisTopicOptions { Buffer = 16 }, TimeProvider.System);
    }

    private static async Task<ConnectionMultiplexer> ConnectImpatientAsync(RedisBackend server)
    {
        var configuration = ConfigurationOptions.Parse(server.ConnectionString);
        configuration.AsyncTimeout = 500;
        return await ConnectionMultiplexer.ConnectAsync(configuration);
    }

    private static RedisRetainedTopic<int> Retained(IConnectionMultiplexer redis, string name) => new(
        redis, name, PayloadCodec.Packed<int>(), new RedisRetainedTopicOptions { Buffer = 64, RetryFor = TimeSpan.FromMinutes(2), Retain = 100_000 }, TimeProvider.System,
        NullLogger<RedisRetainedTopic<int>>.Instance);

    private static RedisEphemeralTopic<int> Ephemeral(IConnectionMultiplexer redis) => new(redis, "topic", PayloadCodec.Packed<int>(), new RedisTopicOptions(), TimeProvider.System);

    private static async Task PublishAsync(RedisRetainedTopic<int> topic, int first, ConcurrentDictionary<long, int> acknowledged, CancellationToken stop)
    {
        for (var i = first; !stop.IsCancellationRequested; i++)
        {
            var position = await topic.PublishAsync(i, cancellationToken: TestStop);
            Assert.True(acknowledged.TryAdd(position.Sequence, i), $"{position} was given twice");
            await Task.Yield();
        }
    }

    private static async Task<bool> TryPublishAsync(RedisEphemeralTopic<int> topic, int message)
    {
        try
        {
            await topic.PublishAsync(message, cancellationToken: TestStop);
            return true;
        }
        catch (Exception e) when (e is RedisException or TimeoutException)
        {
            return false; // whether it went out is not known; it has its number either way
        }
    }

    private static async Task<List<TopicItem<int>>> ReadUntilAsync(ISubscription<int> subscription, long sequence)
    {
        var items = new List<TopicItem<int>>();
        while (subscription.Position.Sequence < sequence && await subscription.WaitToReadAsync(TestStop))
            while (subscription.TryRead(out var item)) items.Add(item);
        return items;
    }
}
