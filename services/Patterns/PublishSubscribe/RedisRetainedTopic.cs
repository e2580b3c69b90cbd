using DistributedPatterns.Diagnostics;
using DistributedPatterns.Payloads;
using DistributedPatterns.PublishSubscribe.Engine;
using DistributedPatterns.Redis;
using Microsoft.Extensions.Logging;
using StackExchange.Redis;

namespace DistributedPatterns.PublishSubscribe;

/// <summary>The topic across processes that keeps what was published: an ordered log in Redis (<c>topic.lua</c>) and a doorbell.</summary>
/// <remarks>
/// Beyond the contract: at least once within what the log retains. A message is in the log once it is acknowledged, once, however often a lost reply
/// made it be sent; a subscriber that was away goes on from its <see cref="ISubscription{T}.Position"/>, in any process. What was trimmed before it was read is a
/// <see cref="TopicItemKind.Gap"/> with its count. If Redis has lost the log or its end, <see cref="TopicItemKind.Reset"/> says so; unnoticed stays only an end that
/// was lost and trimmed away again while the subscriber was away.
/// <para>Publishers never wait for subscribers. With <see cref="OverflowPolicy.Wait"/> a subscriber that is overtaken reads on from the log, at its own pace, as far as
/// that goes back. A replay comes first, also at the subscriber's pace; its policy holds from then on.</para>
/// <para>A process reads the log once, whatever the number of its subscribers. While Redis is away subscribers wait, and publishers try for
/// <see cref="RedisRetainedTopicOptions.RetryFor"/>; then the error surfaces, and whether the message is published is not known. The multiplexer is the caller's.</para>
/// </remarks>
public sealed class RedisRetainedTopic<T> : ITopic<T>, IRelayedTopic
{
    private const int MaxPerCall = 128;
    private const int MaxBytesPerCall = 1024 * 1024;

    private readonly IPayloadCodec<T> _codec;
    private readonly RedisRetainedTopicOptions _options;
    private readonly TimeProvider _clock;
    private readonly TopicTelemetry _telemetry;
    private readonly Subscribers _subscribers;
    private readonly RedisTopicLog _log;
    private readonly RedisDoorbell _doorbell;
    private readonly CallBatcher<byte[], TopicPosition> _appends;
    private readonly RedisSharedFeed<RedisRetainedFeed<T>> _feed;
    private volatile bool _isClosed;

    public RedisRetainedTopic(
        IConnectionMultiplexer redis, string name, IPayloadCodec<T> codec, RedisRetainedTopicOptions options, TimeProvider clock, ILogger<RedisRetainedTopic<T>> logger)
    {
        (Name, _codec, _options, _clock) = (name, codec, options, clock);
        _telemetry = new TopicTelemetry(name, Variants.Distributed, "redis");
        _subscribers = new Subscribers(name, options.MaxSubscribers, _telemetry);
        _log = new RedisTopicLog(redis, name, options, clock);
        _doorbell = new RedisDoorbell(redis, _log.BellChannel, clock);
        _appends = new(MaxPerCall, MaxBytesPerCall, static message => message.Length, clock, AppendInOneCallAsync);
        _feed = new(async cancellationToken =>
        {
            var bell = _doorbell.Listen(RedisTopicLog.Bell);
            try
            {
                return new RedisRetainedFeed<T>(_log, bell, Follow(await _log.LastAsync(0, options.RetryFor, cancellationToken).ConfigureAwait(false)), options, clock, logger);
            }
            catch
            {
                bell.Dispose();
                throw;
            }
        });
    }

    /// <inheritdoc/>
    public string Name { get; }

    /// <inheritdoc/>
    public async ValueTask<TopicPosition> PublishAsync(T message, string subject = SubjectPattern.Default, CancellationToken cancellationToken = default)
    {
        CheckOpen(subject);
        using var span = _telemetry.StartSend(1);
        return await _appends.AddAsync(RedisTopicEnvelope.Encode(message, subject, _codec, Name, TopicTelemetry.Sender), cancellationToken).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public async ValueTask<TopicPosition> PublishAsync(ReadOnlyMemory<T> messages, string subject = SubjectPattern.Default, CancellationToken cancellationToken = default)
    {
        CheckOpen(subject);
        if (messages.IsEmpty) return await _log.LastAsync(0, _options.RetryFor, cancellationToken).ConfigureAwait(false);
        using var span = _telemetry.StartSend(messages.Length);
        var envelopes = new byte[messages.Length][];
        for (var i = 0; i < envelopes.Length; i++) envelopes[i] = RedisTopicEnvelope.Encode(messages.Span[i], subject, _codec, Name, TopicTelemetry.Sender);
        return (await _appends.AddAsync(envelopes, cancellationToken).ConfigureAwait(false))[^1];
    }

    /// <inheritdoc/>
    public async ValueTask<ISubscription<T>> SubscribeAsync(SubscriptionOptions options, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(options);
        CheckOpen(SubjectPattern.Default);
        options.CapacityIn(_options.Buffer);
        var start = options.Start.Position ?? await _log.LastAsync(options.Start.LastCount, _options.RetryFor, cancellationToken).ConfigureAwait(false);
        var feed = await _feed.EnterAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            var subscription = new RedisRetainedSubscription<T>(feed, _log, Follow, options, _options, start, _clock, _subscribers, _feed.LeaveAsync);
            _subscribers.Add(subscription);
            if (options.Start == TopicStart.Now) await subscription.BeginAsync(cancellationToken).ConfigureAwait(false);
            return subscription;
        }
        catch
        {
            await _feed.LeaveAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <inheritdoc/>
    public async ValueTask<TopicLedger> LedgerAsync(CancellationToken cancellationToken = default)
    {
        var head = await _log.LastAsync(0, _options.RetryFor, cancellationToken).WaitAsync(cancellationToken).ConfigureAwait(false);
        var retained = await _log.CountAsync(cancellationToken).WaitAsync(cancellationToken).ConfigureAwait(false);
        return new TopicLedger(head.Sequence, retained, _subscribers.Disconnected, _subscribers.Statuses());
    }

    /// <summary>Ends the subscriptions of this process: they read what is here. The log stays.</summary>
    public async ValueTask DisposeAsync()
    {
        _isClosed = true;
        await _feed.EndAsync().ConfigureAwait(false);
        await _doorbell.DisposeAsync().ConfigureAwait(false);
    }

    Task<(bool IsMine, TopicPosition Position)> IRelayedTopic.RelayAsync(
        string group, string owner, TimeSpan lease, TopicPosition? position, CancellationToken cancellationToken) => _log.RelayAsync(group, owner, lease, position, cancellationToken);

    private RedisLogCursor<T> Follow(TopicPosition from) => new(_codec, from, _telemetry);

    private async Task<TopicPosition[]> AppendInOneCallAsync(IReadOnlyList<byte[]> messages, long since)
    {
        var last = await _log.AppendAsync(messages, since).ConfigureAwait(false);
        _telemetry.Sent(messages.Count);
        // Those of one call follow each other, in number and in place.
        return [.. Enumerable.Range(1 - messages.Count, messages.Count).Select(back => last with { Sequence = last.Sequence + back, Place = last.Place + back })];
    }

    private void CheckOpen(string subject)
    {
        SubjectPattern.CheckSubject(subject);
        if (_isClosed) throw new TopicClosedException(Name);
    }
}
