using DistributedPatterns.Diagnostics;
using DistributedPatterns.Payloads;
using DistributedPatterns.PublishSubscribe.Engine;
using StackExchange.Redis;

namespace DistributedPatterns.PublishSubscribe;

/// <summary>The topic across processes that keeps nothing: a message goes to whoever listens at that moment.</summary>
/// <remarks>
/// Beyond the contract, or short of it: at most once. A publish returns when Redis has passed the message on to those processes that listen; who is not connected at that
/// moment misses it, and is told so with a <see cref="TopicItemKind.Gap"/> as soon as the next message of the same publisher arrives: publishers number what they
/// send. When a publish fails it is not known whether the message went out; it is never sent twice. Order is that of arrival in this process, for each
/// publisher that in which it published. Numbers and positions are this process's own: there is no replay, nothing to wait for, and no group.
/// <para>A process subscribes in Redis once, whatever the number of its subscribers, and takes everything off the connection at once: a subscriber that stops
/// reading is overtaken here and is never a slow client of Redis, which would hold up its publishers or be cut off. The multiplexer is the caller's.</para>
/// </remarks>
public sealed class RedisEphemeralTopic<T> : ITopic<T>
{
    private readonly ISubscriber _redis;
    private readonly IPayloadCodec<T> _codec;
    private readonly RedisTopicOptions _options;
    private readonly TopicTelemetry _telemetry;
    private readonly Subscribers _subscribers;
    private readonly RedisChannel _channel;
    private readonly RedisSharedFeed<RedisEphemeralFeed<T>> _feed;
    private readonly Lock _gate = new();
    private readonly string _publisher = Guid.NewGuid().ToString("N")[..12];
    private long _number;
    private volatile bool _isClosed;

    public RedisEphemeralTopic(IConnectionMultiplexer redis, string name, IPayloadCodec<T> codec, RedisTopicOptions options, TimeProvider clock)
    {
        (Name, _redis, _codec, _options) = (name, redis.GetSubscriber(), codec, options);
        _telemetry = new TopicTelemetry(name, Variants.Distributed, "redis");
        _subscribers = new Subscribers(name, options.MaxSubscribers, _telemetry);
        _channel = RedisChannel.Literal($"{RedisTopicLog.TagOf(name, options)}:messages");
        var begin = new TopicPosition((clock.GetUtcNow() - DateTimeOffset.UnixEpoch).Ticks / TimeSpan.TicksPerMicrosecond, 0);
        _feed = new(async cancellationToken => new RedisEphemeralFeed<T>(
            await _redis.SubscribeAsync(_channel).WaitAsync(cancellationToken).ConfigureAwait(false), codec, options, begin, clock, _telemetry));
    }

    /// <inheritdoc/>
    public string Name { get; }

    /// <inheritdoc/>
    /// <returns>The number that this publisher has given it; no place to go on from.</returns>
    public async ValueTask<TopicPosition> PublishAsync(T message, string subject = SubjectPattern.Default, CancellationToken cancellationToken = default)
    {
        CheckOpen(subject);
        using var span = _telemetry.StartSend(1);
        var (number, sending) = Send(RedisTopicEnvelope.Encode(message, subject, _codec, Name, TopicTelemetry.Sender));
        await sending.WaitAsync(cancellationToken).ConfigureAwait(false);
        return new TopicPosition(0, number);
    }

    /// <inheritdoc/>
    /// <returns>The number that this publisher has given the last one; no place to go on from.</returns>
    public async ValueTask<TopicPosition> PublishAsync(ReadOnlyMemory<T> messages, string subject = SubjectPattern.Default, CancellationToken cancellationToken = default)
    {
        CheckOpen(subject);
        using var span = _telemetry.StartSend(messages.Length);
        var sending = new Task[messages.Length];
        var number = 0L;
        for (var i = 0; i < sending.Length; i++) (number, sending[i]) = Send(RedisTopicEnvelope.Encode(messages.Span[i], subject, _codec, Name, TopicTelemetry.Sender));
        await Task.WhenAll(sending).WaitAsync(cancellationToken).ConfigureAwait(false);
        return new TopicPosition(0, number);
    }

    /// <inheritdoc/>
    public async ValueTask<ISubscription<T>> SubscribeAsync(SubscriptionOptions options, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(options);
        CheckOpen(SubjectPattern.Default);
        var capacity = options.CapacityIn(_options.Buffer);
        if (options.Overflow == OverflowPolicy.Wait) throw new UnsupportedSubscriptionException(Name, "waiting for a subscriber");
        if (options.Start != TopicStart.Now) throw new UnsupportedSubscriptionException(Name, "replay");
        var feed = await _feed.EnterAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            var start = default(TopicPosition);
            var reader = feed.Ring.Join(RingSubscription<RedisSlot<T>, T>.KindOf(options.Overflow, waits: false), options.ReachIn(_options.Buffer), default, (head, _) =>
            {
                start = feed.Ring.Last();
                return head;
            })!;
            var subscription = new RedisEphemeralSubscription<T>(feed.Ring, reader, options, capacity, start, _subscribers, _feed.LeaveAsync);
            _subscribers.Add(subscription);
            return subscription;
        }
        catch
        {
            await _feed.LeaveAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <inheritdoc/>
    public ValueTask<TopicLedger> LedgerAsync(CancellationToken cancellationToken = default) =>
        new(new TopicLedger(Volatile.Read(ref _number), 0, _subscribers.Disconnected, _subscribers.Statuses()));

    /// <summary>Ends the subscriptions of this process: they read what is here.</summary>
    public async ValueTask DisposeAsync()
    {
        _isClosed = true;
        await _feed.EndAsync().ConfigureAwait(false);
    }

    private (long Number, Task Sending) Send(byte[] envelope)
    {
        lock (_gate) // numbers go out in their order
        {
            var number = ++_number;
            _telemetry.Sent(1);
            return (number, _redis.PublishAsync(_channel, RedisEphemeralFeed<T>.Encode(_publisher, number, envelope)));
        }
    }

    private void CheckOpen(string subject)
    {
        SubjectPattern.CheckSubject(subject);
        if (_isClosed) throw new TopicClosedException(Name);
    }
}

/// <summary>A subscriber of an ephemeral topic.</summary>
internal sealed class RedisEphemeralSubscription<T>(
    TopicRing<RedisSlot<T>, T> ring, RingReader<RedisSlot<T>, T> reader, SubscriptionOptions options, int capacity, TopicPosition start, Subscribers host, Func<Task> leave)
    : RingSubscription<RedisSlot<T>, T>(ring, reader, options, capacity, start, host)
{
    private int _hasLeft;

    public override async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _hasLeft, 1) == 1) return;
        await base.DisposeAsync().ConfigureAwait(false);
        await leave().ConfigureAwait(false);
    }
}
