using System.Buffers;

namespace DistributedPatterns.Payloads;

/// <summary>Turns items into bytes for the wire and back, many at a time. Implementations are stateless and thread safe.</summary>
public interface IPayloadCodec<T>
{
    /// <summary>Writes the items one after the other.</summary>
    void Encode(ReadOnlySpan<T> items, IBufferWriter<byte> output);

    /// <summary>Reads as many items as <paramref name="items"/> has room for; the payload holds exactly that many.</summary>
    /// <exception cref="FormatException">The payload is not what <see cref="Encode"/> writes.</exception>
    void Decode(ReadOnlySpan<byte> payload, Span<T> items);
}
