using System.Buffers;
using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace DistributedPatterns.Payloads;

/// <summary>The codecs that ship: JSON for records, and text, bytes and plain numbers as they are.</summary>
public static class PayloadCodec
{
    /// <summary>Gets the codec for text: UTF-8, each item behind its length.</summary>
    public static IPayloadCodec<string> Utf8 { get; } = new Utf8Codec();

    /// <summary>Gets the codec for bytes as they are, each item behind its length.</summary>
    public static IPayloadCodec<byte[]> Bytes { get; } = new BytesCodec();

    /// <summary>Returns the codec for records: source-generated JSON, each item behind its length.</summary>
    public static IPayloadCodec<T> Json<T>(JsonTypeInfo<T> type) => new JsonCodec<T>(type);

    /// <summary>Returns the codec for numbers and structs without references: their memory as it is, little-endian machines only.</summary>
    public static IPayloadCodec<T> Packed<T>() where T : unmanaged =>
        BitConverter.IsLittleEndian ? new PackedCodec<T>() : throw new PlatformNotSupportedException("Packed payloads need a little-endian machine.");

    private static void WriteLength(IBufferWriter<byte> output, int length)
    {
        BinaryPrimitives.WriteInt32LittleEndian(output.GetSpan(sizeof(int)), length);
        output.Advance(sizeof(int));
    }

    private static ReadOnlySpan<byte> ReadItem(ref ReadOnlySpan<byte> payload)
    {
        if (payload.Length < sizeof(int)) throw Truncated();
        var length = BinaryPrimitives.ReadInt32LittleEndian(payload);
        payload = payload[sizeof(int)..];
        if ((uint)length > (uint)payload.Length) throw Truncated();
        var item = payload[..length];
        payload = payload[length..];
        return item;
    }

    private static void CheckEnd(ReadOnlySpan<byte> payload)
    {
        if (!payload.IsEmpty) throw new FormatException($"The payload holds {payload.Length} bytes more than its items.");
    }

    private static FormatException Truncated() => new("The payload ends in the middle of an item.");

    private sealed class Utf8Codec : IPayloadCodec<string>
    {
        private static readonly UTF8Encoding s_strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

        public void Encode(ReadOnlySpan<string> items, IBufferWriter<byte> output)
        {
            foreach (var item in items)
            {
                WriteLength(output, Encoding.UTF8.GetByteCount(item));
                Encoding.UTF8.GetBytes(item, output);
            }
        }

        public void Decode(ReadOnlySpan<byte> payload, Span<string> items)
        {
            try
            {
                foreach (ref var item in items) item = s_strict.GetString(ReadItem(ref payload));
            }
            catch (DecoderFallbackException error)
            {
                throw new FormatException($"The payload is no UTF-8: {error.Message}", error);
            }
            CheckEnd(payload);
        }
    }

    private sealed class BytesCodec : IPayloadCodec<byte[]>
    {
        public void Encode(ReadOnlySpan<byte[]> items, IBufferWriter<byte> output)
        {
            foreach (var item in items)
            {
                WriteLength(output, item.Length);
                output.Write(item);
            }
        }

        public void Decode(ReadOnlySpan<byte> payload, Span<byte[]> items)
        {
            foreach (ref var item in items) item = ReadItem(ref payload).ToArray();
            CheckEnd(payload);
        }
    }

    private sealed class JsonCodec<T>(JsonTypeInfo<T> type) : IPayloadCodec<T>
    {
        public void Encode(ReadOnlySpan<T> items, IBufferWriter<byte> output)
        {
            var item = new ArrayBufferWriter<byte>(256);
            using var json = new Utf8JsonWriter(item);
            foreach (var value in items)
            {
                item.ResetWrittenCount();
                json.Reset();
                JsonSerializer.Serialize(json, value, type);
                WriteLength(output, item.WrittenCount);
                output.Write(item.WrittenSpan);
            }
        }

        public void Decode(ReadOnlySpan<byte> payload, Span<T> items)
        {
            foreach (ref var item in items)
            {
                try
                {
                    item = JsonSerializer.Deserialize(ReadItem(ref payload), type)!;
                }
                catch (JsonException error)
                {
                    throw new FormatException($"The payload is no {typeof(T).Name}: {error.Message}", error);
                }
            }
            CheckEnd(payload);
        }
    }

    private sealed class PackedCodec<T> : IPayloadCodec<T> where T : unmanaged
    {
        public void Encode(ReadOnlySpan<T> items, IBufferWriter<byte> output) => output.Write(MemoryMarshal.AsBytes(items));

        public void Decode(ReadOnlySpan<byte> payload, Span<T> items)
        {
            var bytes = MemoryMarshal.AsBytes(items);
            if (payload.Length != bytes.Length) throw new FormatException($"The payload has {payload.Length} bytes instead of {bytes.Length}.");
            payload.CopyTo(bytes);
        }
    }
}
