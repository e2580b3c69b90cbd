using System.Buffers;
using System.Buffers.Text;
using System.Text;
using DistributedPatterns.Payloads;

namespace DistributedPatterns.PublishSubscribe;

/// <summary>A message in Redis: its subject behind its length, in one byte, then what the codec writes.</summary>
internal static class RedisTopicEnvelope
{
    /// <exception cref="MessageTooLargeException">It is larger than a topic carries.</exception>
    public static byte[] Encode<T>(T message, string subject, IPayloadCodec<T> codec, string topic)
    {
        var output = new ArrayBufferWriter<byte>(256);
        Write(output, message, subject, codec);
        return output.WrittenCount <= RedisTopicOptions.MaxMessageBytes
            ? output.WrittenSpan.ToArray()
            : throw new MessageTooLargeException(topic, RedisTopicOptions.MaxMessageBytes, output.WrittenCount);
    }

    /// <exception cref="FormatException">It is no message of this topic.</exception>
    public static (string Subject, T Message) Decode<T>(ReadOnlySpan<byte> envelope, IPayloadCodec<T> codec)
    {
        if (envelope.IsEmpty || envelope.Length <= envelope[0]) throw new FormatException("The message ends within its subject.");
        var message = default(T)!;
        codec.Decode(envelope[(1 + envelope[0])..], new Span<T>(ref message));
        return (Encoding.ASCII.GetString(envelope.Slice(1, envelope[0])), message);
    }

    /// <summary>Takes a number and the mark behind it off the front.</summary>
    public static long TakeNumber(ref ReadOnlySpan<byte> text)
    {
        if (!Utf8Parser.TryParse(text, out long number, out var length) || length == text.Length) throw new FormatException("A number is missing in front of a message.");
        text = text[(length + 1)..];
        return number;
    }

    private static void Write<T>(ArrayBufferWriter<byte> output, T message, string subject, IPayloadCodec<T> codec)
    {
        output.GetSpan(1)[0] = (byte)subject.Length;
        output.Advance(1);
        Encoding.ASCII.GetBytes(subject, output);
        codec.Encode(new ReadOnlySpan<T>(in message), output);
    }
}
