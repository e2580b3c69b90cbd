using System.Buffers;
using System.Diagnostics;
using DistributedPatterns.Diagnostics;
using DistributedPatterns.Payloads;

namespace DistributedPatterns.ProducerConsumer;

/// <summary>A payload as it lies in Redis: whether anybody waits for its end, the creator's span, the payload.</summary>
/// <remarks>The deadline is not in here: it is in the item's record, on the server's clock, where the script checks it.</remarks>
internal static class QueueEnvelope
{
    /// <summary>Encodes an item; the envelope's own bytes do not count against the limit.</summary>
    /// <exception cref="PayloadTooLargeException">More than <paramref name="limitBytes"/>.</exception>
    public static byte[] Encode<T>(string queue, WorkItem<T> item, IPayloadCodec<T> codec, ActivityContext creator, int limitBytes)
    {
        var buffer = new ArrayBufferWriter<byte>(128);
        var head = buffer.GetSpan(1 + TraceBytes.MaxLength);
        head[0] = item.Watched ? (byte)1 : (byte)0;
        buffer.Advance(1 + TraceBytes.Write(creator, head[1..]));
        var before = buffer.WrittenCount;
        codec.Encode([item.Payload], buffer);
        var bytes = buffer.WrittenCount - before;
        return bytes <= limitBytes ? buffer.WrittenSpan.ToArray() : throw new PayloadTooLargeException(queue, limitBytes, bytes);
    }

    /// <exception cref="FormatException">The bytes are not what <see cref="Encode"/> writes.</exception>
    public static (T Payload, ActivityContext Creator, bool IsWatched) Decode<T>(ReadOnlySpan<byte> bytes, IPayloadCodec<T> codec)
    {
        if (bytes.IsEmpty) throw new FormatException("The envelope is empty.");
        var isWatched = bytes[0] == 1;
        bytes = bytes[1..];
        var creator = TraceBytes.Take(ref bytes);
        T payload = default!;
        codec.Decode(bytes, new Span<T>(ref payload));
        return (payload, creator, isWatched);
    }
}
