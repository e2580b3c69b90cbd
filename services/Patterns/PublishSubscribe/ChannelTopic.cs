using System.Collections.Concurrent;
using DistributedPatterns.Diagnostics;
using DistributedPatterns.PublishSubscribe.Engine;

namespace DistributedPatterns.PublishSubscribe;

/// <summary>The topic inside one process: a ring of the last messages that all subscribers read, each from its own place.</summary>
/// <remarks>
/// Beyond the contract: a message is stored once, however many subscribers there are, and a subscriber that is behind costs its publisher nothing but a
/// copy a message with <see cref="OverflowPolicy.DropNewest"/>. With <see cref="OverflowPolicy.Wait"/> nothing is lost and publishers wait for the slowest;
/// who reads nothing for its <see cref="SubscriptionOptions.WaitLimit"/> is cut off. A replay gives what the ring still has and the subscriber's buffer takes.
/// <para>It lives and dies with its process; what was published before is then gone, and positions in it are answered with <see cref="TopicItemKind.Reset"/>.</para>
/// Messages are handed out as they are, to every subscriber the same object: do not change them.
/// </remarks>
public sealed class ChannelTopic<T> : ITopic<T>, IRelayedTopic
{
    private readonly int _buffer;
    private readonly TimeProvider _clock;
    private readonly TopicTelemetry _telemetry;
    private readonly Subscribers _subscribers;
    private readonly TopicRing<ChannelSlot<T>, T> _ring;
    private readonly ConcurrentDictionary<string, TopicPosition> _groups = new();
    private string _checked = SubjectPattern.Default;

    public ChannelTopic(string name, ChannelTopicOptions options, TimeProvider clock)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(clock);
        (Name, _buffer, _clock) = (name, options.Buffer, clock);
        _telemetry = new TopicTelemetry(name, Variants.Channel, "channels");
        _subscribers = new Subscribers(name, options.MaxSubscribers, _telemetry);
        _ring = new(_buffer, new TopicPosition((clock.GetUtcNow() - DateTimeOffset.UnixEpoch).Ticks / TimeSpan.TicksPerMicrosecond, 0), clock);
    }

    /// <inheritdoc/>
    public string Name { get; }

    /// <inheritdoc/>
    public ValueTask<TopicPosition> PublishAsync(T message, string subject = SubjectPattern.Default, CancellationToken cancellationToken = default)
    {
        CheckSubject(subject);
        if (cancellationToken.IsCancellationRequested) return ValueTask.FromCanceled<TopicPosition>(cancellationToken);
        var slot = new ChannelSlot<T>(subject, message);
        if (_ring.TryWrite(new ReadOnlySpan<ChannelSlot<T>>(in slot), out var end) != 1) return new(WriteAsync(new[] { slot }, cancellationToken));
        _telemetry.Sent(1);
        return new(PositionOf(end));
    }

    /// <inheritdoc/>
    public ValueTask<TopicPosition> PublishAsync(ReadOnlyMemory<T> messages, string subject = SubjectPattern.Default, CancellationToken cancellationToken = default)
    {
        CheckSubject(subject);
        var slots = new ChannelSlot<T>[messages.Length];
        for (var i = 0; i < slots.Length; i++) slots[i] = new ChannelSlot<T>(subject, messages.Span[i]);
        return new(WriteAsync(slots, cancellationToken));
    }

    /// <inheritdoc/>
    public ValueTask<ISubscription<T>> SubscribeAsync(SubscriptionOptions options, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(options);
        cancellationToken.ThrowIfCancellationRequested();
        var capacity = options.CapacityIn(_buffer);
        var (start, mark) = (default(TopicPosition), default(TopicItem<T>?));
        var kind = RingSubscription<ChannelSlot<T>, T>.KindOf(options.Overflow, waits: true);
        var reader = _ring.Join(kind, options.ReachIn(_buffer), options.WaitLimit, (head, oldest) =>
        {
            oldest = Math.Max(oldest, head - capacity);
            if (options.Start.Position is not { } from)
            {
                var first = Math.Max(oldest, head - options.Start.LastCount);
                start = PositionOf(first);
                return first;
            }
            start = from;
            if (from.Generation != _ring.Generation || from.Sequence > head)
            {
                mark = TopicItem<T>.Mark(TopicItemKind.Reset, PositionOf(oldest));
                return oldest;
            }
            if (from.Sequence >= oldest) return from.Sequence;
            mark = TopicItem<T>.Mark(TopicItemKind.Gap, PositionOf(oldest), oldest - from.Sequence);
            return oldest;
        })!;
        var subscription = new RingSubscription<ChannelSlot<T>, T>(_ring, reader, options, capacity, start, _subscribers, mark);
        try
        {
            _subscribers.Add(subscription);
            return new(subscription);
        }
        catch
        {
            _ring.Remove(reader);
            throw;
        }
    }

    /// <inheritdoc/>
    public ValueTask<TopicLedger> LedgerAsync(CancellationToken cancellationToken = default) =>
        new(new TopicLedger(_ring.Head, _ring.Count, _subscribers.Disconnected, _subscribers.Statuses()));

    /// <summary>Takes nothing more. Subscribers read what is there, then they end; publishers that wait are refused.</summary>
    public ValueTask DisposeAsync()
    {
        _ring.Close();
        return default;
    }

    Task<(bool IsMine, TopicPosition Position)> IRelayedTopic.RelayAsync(
        string group, string owner, TimeSpan lease, TopicPosition? position, CancellationToken cancellationToken)
    {
        if (position is { } at) _groups[group] = at;
        return Task.FromResult((true, _groups.GetOrAdd(group, _ => _ring.Last())));
    }

    private async Task<TopicPosition> WriteAsync(ReadOnlyMemory<ChannelSlot<T>> slots, CancellationToken cancellationToken)
    {
        var end = _ring.Head;
        while (!slots.IsEmpty)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var written = _ring.TryWrite(slots.Span, out end);
            if (written < 0) throw new TopicClosedException(Name);
            if (written > 0) _telemetry.Sent(written);
            else if (_ring.WaitForRoom(out var patience) is { } room) await WaitAsync(room, patience, cancellationToken).ConfigureAwait(false);
            slots = slots[written..];
        }
        return PositionOf(end);
    }

    private async Task WaitAsync(Task room, TimeSpan patience, CancellationToken cancellationToken)
    {
        try
        {
            await room.WaitAsync(patience, _clock, cancellationToken).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            // Somebody reads nothing; asking for room again cuts it off.
        }
    }

    private void CheckSubject(string subject)
    {
        if (ReferenceEquals(subject, _checked)) return; // mostly the same one again
        SubjectPattern.CheckSubject(subject);
        _checked = subject;
    }

    private TopicPosition PositionOf(long sequence) => new(_ring.Generation, sequence);
}
