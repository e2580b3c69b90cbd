using System.Diagnostics;
using System.Runtime.InteropServices;
using DistributedPatterns.Payloads;

namespace DistributedPatterns.PublishSubscribe;

/// <summary>Follows the log, and notices what is missing in it.</summary>
internal sealed class RedisLogCursor<T>(IPayloadCodec<T> codec, TopicPosition at, TopicTelemetry telemetry)
{
    private readonly List<ActivityContext> _senders = [];

    /// <summary>Gets where it is.</summary>
    public TopicPosition At { get; private set; } = at;

    /// <summary>Adds what a read behind <see cref="At"/> returned: messages, and marks in the places of those that are missing.</summary>
    public void Follow(LogReply reply, List<TopicItem<T>> items)
    {
        var head = reply.Head;
        _senders.Clear();
        if (At.Generation == 0) At = At with { Generation = head.Generation }; // there was nothing yet
        var isLost = head.Generation != At.Generation || head.Sequence < At.Sequence;
        foreach (var entry in reply.Entries)
        {
            ReadOnlySpan<byte> rest = entry;
            var place = RedisTopicEnvelope.TakeNumber(ref rest);
            var position = new TopicPosition(head.Generation, RedisTopicEnvelope.TakeNumber(ref rest), place);
            var before = position with { Sequence = position.Sequence - 1, Place = place - 1 };
            // The number of one that was read already: Redis lost the end of its log and gives its numbers out again.
            if (isLost || position.Sequence <= At.Sequence) items.Add(TopicItem<T>.Mark(TopicItemKind.Reset, before));
            else if (before.Sequence > At.Sequence) items.Add(TopicItem<T>.Mark(TopicItemKind.Gap, before, before.Sequence - At.Sequence));
            items.Add(Read(position, rest));
            (At, isLost) = (position, false);
        }
        telemetry.Received(CollectionsMarshal.AsSpan(_senders));
        if (!isLost) return;
        // Another generation is read from its beginning, whatever the clock was then.
        At = head.Generation != At.Generation ? new TopicPosition(head.Generation, 0) : head;
        items.Add(TopicItem<T>.Mark(TopicItemKind.Reset, At));
    }

    private TopicItem<T> Read(TopicPosition position, ReadOnlySpan<byte> envelope)
    {
        try
        {
            var (subject, message, sender) = RedisTopicEnvelope.Decode(envelope, codec);
            _senders.Add(sender);
            return new TopicItem<T>(position, subject, message);
        }
        catch (FormatException)
        {
            return TopicItem<T>.Mark(TopicItemKind.Gap, position, 1); // nobody can ever read it
        }
    }
}
