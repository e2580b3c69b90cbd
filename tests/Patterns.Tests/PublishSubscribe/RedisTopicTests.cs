using DistributedPatterns.Diagnostics;
using DistributedPatterns.PublishSubscribe;
using DistributedPatterns.Tests.Guarantees;
using DistributedPatterns.Tests.ProducerConsumer;
using DistributedPatterns.Tests.Support;
using Microsoft.Extensions.Logging.Abstractions;
using StackExchange.Redis;

namespace DistributedPatterns.Tests.PublishSubscribe;

/// <summary>The contract over <see cref="RedisRetainedTopic{T}"/> on a real server.</summary>
[Guarantees("publish-subscribe", Variants.Distributed, typeof(RedisTopicFaultTests), typeof(TopicScriptTests), typeof(TopicGroupTests))]
[Promises(Guarantee.Order, "one, for all subscribers of all processes", nameof(Messages_OneByOneAndTogether_ComeToEverySubscriberInOrder),
    nameof(TopicScriptTests.Append_OfManyPublishersThatSendEverythingTwice_NumbersEachMessageOnce))]
[Promises(Guarantee.Delivery, "at least once within the log, and each miss is told with its count; of the ephemeral kind at most once",
    nameof(RedisTopicFaultTests.Retained_RedisIsKilledInMidRun_EveryAcknowledgedMessageIsReadOnce), nameof(Start_BehindWhatIsNoLongerKept_SaysHowManyAreMissing),
    nameof(RedisTopicFaultTests.Ephemeral_RedisIsKilledInMidRun_WhatIsMissingIsAGapWithItsCount))]
[Promises(Guarantee.ProcessDeath, "a subscriber goes on in any process; what the server had logged survives the server", nameof(Start_BehindAPosition_GoesOnThere),
    nameof(TopicGroupTests.Relay_IsGoneForAWhile_GoesOnWhereItWas), nameof(RedisTopicFaultTests.Retained_RedisIsKilledInMidRun_EveryAcknowledgedMessageIsReadOnce))]
[Promises(Guarantee.StaleHolder, "of a group's relay, moves the group's position no more", nameof(TopicScriptTests.Relay_HasOneOwnerAtATime_AndKeepsWhatThatOneSays))]
[Promises(Guarantee.Full, "a subscriber misses the oldest or the newest, is cut off or reads on from the log, as it asks; counted", nameof(DropOldest_TheBufferIsFull_KeepsTheNewestAndSaysHowManyAreMissing),
    nameof(DropNewest_TheBufferIsFull_KeepsTheOldestAndSaysHowManyAreMissing), nameof(Disconnect_OneMoreThanTheBufferTakes_CutsOffAndSaysSo), nameof(Wait_TheReaderIsSlow_LosesNothing),
    nameof(RedisTopicFaultTests.Subscribers_ThatReadNothingOfLargeMessages_DoNotHoldUpPublishers))]
public abstract class RedisRetainedTopicConformance<T>(SharedRedis shared, RedisKind kind, Payloads<T> payloads) : TopicConformance<T>(payloads), IAsyncLifetime
{
    private ConnectionMultiplexer? _redis;

    public async ValueTask InitializeAsync() => _redis = await (await shared.OfAsync(kind)).ConnectAsync();

    public async ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        if (_redis is not null) await _redis.DisposeAsync();
    }

    protected override ITopic<T> Create(TopicSettings settings) => new RedisRetainedTopic<T>(
        _redis!, SharedRedis.NewTag(), Payloads.Codec, new RedisRetainedTopicOptions { Buffer = settings.Buffer, MaxSubscribers = settings.MaxSubscribers, Retain = settings.Retain },
        TimeProvider.System, NullLogger<RedisRetainedTopic<T>>.Instance);
}

/// <summary>The contract over <see cref="RedisEphemeralTopic{T}"/> on a real server, but for what it keeps: nothing.</summary>
public abstract class RedisEphemeralTopicConformance<T>(SharedRedis shared, RedisKind kind, Payloads<T> payloads) : TopicConformance<T>(payloads), IAsyncLifetime
{
    private ConnectionMultiplexer? _redis;

    protected override bool Replays => false;

    public async ValueTask InitializeAsync() => _redis = await (await shared.OfAsync(kind)).ConnectAsync();

    public async ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        if (_redis is not null) await _redis.DisposeAsync();
    }

    [Fact(Timeout = HangLimit)]
    public async Task Subscribe_ForWhatIsNotKept_IsRefused()
    {
        await using var topic = Create(new());

        foreach (var options in (SubscriptionOptions[])[new() { Overflow = OverflowPolicy.Wait }, new() { Start = TopicStart.Last(1) }, new() { Start = TopicStart.After(default) }])
            await Assert.ThrowsAsync<UnsupportedSubscriptionException>(async () => await topic.SubscribeAsync(options, TestStop));
        Assert.Empty((await topic.LedgerAsync(TestStop)).Subscriptions);
    }

    protected override ITopic<T> Create(TopicSettings settings) => new RedisEphemeralTopic<T>(
        _redis!, SharedRedis.NewTag(), Payloads.Codec, new RedisTopicOptions { Buffer = settings.Buffer, MaxSubscribers = settings.MaxSubscribers }, TimeProvider.System);
}

public sealed class RedisRetainedTopicOfTextOnRedisTests(SharedRedis shared) : RedisRetainedTopicConformance<string>(shared, RedisKind.Redis, new TextPayloads());

public sealed class RedisRetainedTopicOfReadingsOnGarnetTests(SharedRedis shared) : RedisRetainedTopicConformance<Reading>(shared, RedisKind.Garnet, new ReadingPayloads());

public sealed class RedisEphemeralTopicOfReadingsOnRedisTests(SharedRedis shared) : RedisEphemeralTopicConformance<Reading>(shared, RedisKind.Redis, new ReadingPayloads());

public sealed class RedisEphemeralTopicOfTextOnGarnetTests(SharedRedis shared) : RedisEphemeralTopicConformance<string>(shared, RedisKind.Garnet, new TextPayloads());
