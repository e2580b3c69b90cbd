using DistributedPatterns.Payloads;
using DistributedPatterns.PublishSubscribe;
using Microsoft.Extensions.Logging.Abstractions;
using StackExchange.Redis;

namespace DistributedPatterns.Tests.Cluster;

/// <summary>A retained topic: after the failover what is published is read, in order, and what the old master took with it the subscriber is told.</summary>
internal sealed class TopicUser : ScriptUser
{
    public override IReadOnlyList<string> Scripts => ["PublishSubscribe/topic.lua"];

    public override async Task RunAsync(RedisCluster cluster, IConnectionMultiplexer redis, string tag, Func<Task> failOver)
    {
        const int Each = 20;
        var stop = TestContext.Current.CancellationToken;
        await using var topic = new RedisRetainedTopic<int>(
            redis, tag, PayloadCodec.Packed<int>(), new RedisRetainedTopicOptions { KeyTag = tag, RetryFor = Limit }, TimeProvider.System, NullLogger<RedisRetainedTopic<int>>.Instance);
        await using var subscription = await InsistAsync(() => topic.SubscribeAsync(new(), stop).AsTask());
        for (var i = 0; i < Each; i++) await InsistAsync(() => topic.PublishAsync(i, cancellationToken: stop).AsTask());

        await failOver();

        for (var i = Each; i < 2 * Each; i++) await InsistAsync(() => topic.PublishAsync(i, cancellationToken: stop).AsTask());
        var items = new List<TopicItem<int>>();
        while (!items.Exists(item => item.Message == (2 * Each) - 1) && await subscription.WaitToReadAsync(stop))
            while (subscription.TryRead(out var item)) items.Add(item);

        var messages = items.Where(item => item.IsMessage).Select(item => item.Message).ToArray();
        Assert.True(subscription.Ledger.Balances, $"{subscription.Ledger}");
        // A publish that was tried again after its error may be there twice; none that was acknowledged by the new master is missing.
        Assert.Equal(Enumerable.Range(Each, Each), messages.Where(message => message >= Each).Distinct());
        Assert.All(items.Skip(1).Zip(items), pair => Assert.True(pair.First.Kind == TopicItemKind.Reset || pair.First.Sequence == pair.Second.Sequence + Math.Max(1, pair.First.Missed), $"{pair.First} after {pair.Second}"));
    }
}
