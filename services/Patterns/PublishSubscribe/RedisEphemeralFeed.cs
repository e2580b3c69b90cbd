using System.Diagnostics;
using DistributedPatterns.Payloads;
using DistributedPatterns.PublishSubscribe.Engine;
using StackExchange.Redis;

namespace DistributedPatterns.PublishSubscribe;

/// <summary>Listens to a topic's channel once for the whole process, and moves what comes into a ring at once, so that nothing piles up in front of it.</summary>
/// <remarks>Publishers number what they send, so a hole is seen when the next message of the same publisher comes.</remarks>
internal sealed class RedisEphemeralFeed<T> : IAsyncDisposable
{
    private const int MaxPublishers = 4_096;

    private readonly IPayloadCodec<T> _codec;
    private readonly TopicTelemetry _telemetry;
    private readonly ChannelMessageQueue _messages;
    private readonly Dictionary<string, (long Number, long Seen)> _publishers = [];
    private TopicPosition _at;

    public RedisEphemeralFeed(ChannelMessageQueue messages, IPayloadCodec<T> codec, RedisTopicOptions options, TopicPosition begin, TimeProvider clock, TopicTelemetry telemetry)
    {
        (_messages, _codec, _at, _telemetry) = (messages, codec, begin, telemetry);
        Ring = new(options.Buffer, begin, clock);
        messages.OnMessage(Take); // one after the other, in order
    }

    public TopicRing<RedisSlot<T>, T> Ring { get; }

    public static byte[] Encode(string publisher, long number, byte[] envelope) =>
        [.. System.Text.Encoding.ASCII.GetBytes(FormattableString.Invariant($"{publisher}:{number}:")), .. envelope];

    public async ValueTask DisposeAsync()
    {
        try
        {
            await _messages.UnsubscribeAsync(CommandFlags.FireAndForget).ConfigureAwait(false);
        }
        catch (ObjectDisposedException)
        {
            // The connection, which is not ours, went first.
        }
        Ring.Close();
    }

    private void Take(ChannelMessage received)
    {
        ReadOnlySpan<byte> rest = (byte[])received.Message!;
        try
        {
            var end = rest.IndexOf((byte)':');
            if (end <= 0) throw new FormatException("A publisher is missing in front of a message.");
            var publisher = System.Text.Encoding.ASCII.GetString(rest[..end]);
            rest = rest[(end + 1)..];
            Count(publisher, RedisTopicEnvelope.TakeNumber(ref rest));
            var (subject, message, sender) = RedisTopicEnvelope.Decode(rest, _codec);
            _telemetry.Received(new ReadOnlySpan<ActivityContext>(in sender));
            Push(new TopicItem<T>(Next(1), subject, message));
        }
        catch (FormatException)
        {
            Push(TopicItem<T>.Mark(TopicItemKind.Gap, Next(1), 1)); // nobody can ever read it
        }
    }

    private void Count(string publisher, long number)
    {
        if (_publishers.TryGetValue(publisher, out var last))
        {
            if (number - last.Number - 1 is > 0 and var missed) Push(TopicItem<T>.Mark(TopicItemKind.Gap, Next(missed), missed));
        }
        else if (_publishers.Count == MaxPublishers)
        {
            _publishers.Remove(_publishers.MinBy(static one => one.Value.Seen).Key);
        }
        _publishers[publisher] = (number, _at.Sequence);
    }

    private TopicPosition Next(long count) => _at = _at with { Sequence = _at.Sequence + count };

    private void Push(TopicItem<T> item)
    {
        var slot = new RedisSlot<T>(item);
        Ring.Push(new ReadOnlySpan<RedisSlot<T>>(in slot));
    }
}
