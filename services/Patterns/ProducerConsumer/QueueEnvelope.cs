using System.Buffers;
using System.Diagnostics;
using DistributedPatterns.Payloads;

namespace DistributedPatterns.ProducerConsumer;

/// <summary>A payload as it lies in Redis: one byte of flags, the creator's span if there was one, the payload.</summary>
/// <remarks>The deadline is not in here: it is in the item's record, on the server's clock, where the script checks it.</remarks>
internal static class QueueEnvelope
{
    private const byte Traced = 1;
    private const byte Watched = 2;
    private const int TraceIdBytes = 16;
    private const int SpanIdBytes = 8;
    private const int TraceBytes = TraceIdBytes + SpanIdBytes + 1;

    /// <summary>Encodes an item; the envelope's own bytes do not count against the limit.</summary>
    /// <exception cref="PayloadTooLargeException">More than <paramref name="limitBytes"/>.</exception>
    public static byte[] Encode<T>(string queue, WorkItem<T> item, IPayloadCodec<T> codec, ActivityContext creator, int limitBytes)
    {
        var buffer = new ArrayBufferWriter<byte>(128);
        var isTraced = creator.TraceId != default;
        var head = buffer.GetSpan(1 + TraceBytes);
        head[0] = (byte)((isTraced ? Traced : 0) | (item.Watched ? Watched : 0));
        if (isTraced)
        {
            creator.TraceId.CopyTo(head.Slice(1, TraceIdBytes));
            creator.SpanId.CopyTo(head.Slice(1 + TraceIdBytes, SpanIdBytes));
            head[TraceBytes] = (byte)creator.TraceFlags;
        }
        buffer.Advance(isTraced ? 1 + TraceBytes : 1);
        var before = buffer.WrittenCount;
        codec.Encode([item.Payload], buffer);
        var bytes = buffer.WrittenCount - before;
        return bytes <= limitBytes ? buffer.WrittenSpan.ToArray() : throw new PayloadTooLargeException(queue, limitBytes, bytes);
    }

    /// <exception cref="FormatException">The bytes are not what <see cref="Encode"/> writes.</exception>
    public static (T Payload, ActivityContext Creator, bool IsWatched) Decode<T>(ReadOnlySpan<byte> bytes, IPayloadCodec<T> codec)
    {
        if (bytes.IsEmpty) throw new FormatException("The envelope is empty.");
        var flags = bytes[0];
        bytes = bytes[1..];
        ActivityContext creator = default;
        if ((flags & Traced) != 0)
        {
            if (bytes.Length < TraceBytes) throw new FormatException("The envelope ends in the middle of its trace context.");
            creator = new ActivityContext(
                ActivityTraceId.CreateFromBytes(bytes[..TraceIdBytes]), ActivitySpanId.CreateFromBytes(bytes.Slice(TraceIdBytes, SpanIdBytes)),
                (ActivityTraceFlags)bytes[TraceBytes - 1], isRemote: true);
            bytes = bytes[TraceBytes..];
        }
        T payload = default!;
        codec.Decode(bytes, new Span<T>(ref payload));
        return (payload, creator, (flags & Watched) != 0);
    }
}
