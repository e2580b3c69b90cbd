using System.Buffers;
using System.Buffers.Text;
using System.Diagnostics;
using System.Text;
using DistributedPatterns.Diagnostics;
using DistributedPatterns.Payloads;

namespace DistributedPatterns.PublishSubscribe;

/// <summary>A message in Redis: its subject behind its length, in one byte, the span that sent it, then what the codec writes.</summary>
internal static class RedisTopicEnvelope
{
    /// <exception cref="MessageTooLargeException">It is larger than a topic carries; the span does not count.</exception>
    public static byte[] Encode<T>(T message, string subject, IPayloadCodec<T> codec, string topic, ActivityContext sender)
    {
        var output = new ArrayBufferWriter<byte>(256);
        output.GetSpan(1)[0] = (byte)subject.Length;
        output.Advance(1);
        Encoding.ASCII.GetBytes(subject, output);
        var trace = TraceBytes.Write(sender, output.GetSpan(TraceBytes.MaxLength));
        output.Advance(trace);
        codec.Encode(new ReadOnlySpan<T>(in message), output);
        return output.WrittenCount - trace <= RedisTopicOptions.MaxMessageBytes
            ? output.WrittenSpan.ToArray()
            : throw new MessageTooLargeException(topic, RedisTopicOptions.MaxMessageBytes, output.WrittenCount - trace);
    }

    /// <exception cref="FormatException">It is no message of this topic.</exception>
    public static (string Subject, T Message, ActivityContext Sender) Decode<T>(ReadOnlySpan<byte> envelope, IPayloadCodec<T> codec)
    {
        if (envelope.IsEmpty || envelope.Length <= envelope[0]) throw new FormatException("The message ends within its subject.");
        var message = default(T)!;
        var rest = envelope[(1 + envelope[0])..];
        var sender = TraceBytes.Take(ref rest);
        codec.Decode(rest, new Span<T>(ref message));
        return (Encoding.ASCII.GetString(envelope.Slice(1, envelope[0])), message, sender);
    }

    /// <summary>Takes a number and the mark behind it off the front.</summary>
    public static long TakeNumber(ref ReadOnlySpan<byte> text)
    {
        if (!Utf8Parser.TryParse(text, out long number, out var length) || length == text.Length) throw new FormatException("A number is missing in front of a message.");
        text = text[(length + 1)..];
        return number;
    }
}
