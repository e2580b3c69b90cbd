using System.Buffers;
using System.Text.Json;
using DistributedPatterns.Payloads;

namespace DistributedPatterns.Pipeline.Engine;

/// <summary>A chunk as it travels between processes.</summary>
/// <param name="First">The place in the source, from 0, of the first item covered.</param>
/// <param name="Span">How many items of the source it covers.</param>
/// <param name="Removed">How many of those were skipped or diverted.</param>
/// <param name="Count">How many items <paramref name="Payload"/> holds.</param>
internal readonly record struct EncodedChunk(long First, int Span, int Removed, int Count, ReadOnlyMemory<byte> Payload)
{
    public static EncodedChunk Encode<T>(Chunk<T> chunk, IPayloadCodec<T> codec)
    {
        var output = new ArrayBufferWriter<byte>(Math.Max(16, chunk.Count * 8));
        codec.Encode(chunk.Items.AsSpan(0, chunk.Count), output);
        return new EncodedChunk(chunk.First, chunk.Span, chunk.Removed, chunk.Count, output.WrittenMemory);
    }

    /// <summary>Encodes a source's chunk, in several parts where one would be too large for a message.</summary>
    public static IEnumerable<EncodedChunk> EncodeInParts<T>(Chunk<T> chunk, IPayloadCodec<T> codec, int mostBytes) =>
        EncodeInParts(chunk, codec, mostBytes, 0, chunk.Count);

    public Chunk<T> Decode<T>(IPayloadCodec<T> codec)
    {
        var chunk = Chunk<T>.Rent(First, Span, Count);
        codec.Decode(Payload.Span, chunk.Items.AsSpan(0, Count));
        chunk.Count = Count;
        chunk.Removed = Removed;
        return chunk;
    }

    private static IEnumerable<EncodedChunk> EncodeInParts<T>(Chunk<T> chunk, IPayloadCodec<T> codec, int mostBytes, int start, int count)
    {
        var output = new ArrayBufferWriter<byte>(Math.Max(16, count * 8));
        codec.Encode(chunk.Items.AsSpan(start, count), output);
        return output.WrittenCount <= mostBytes || count == 1
            ? [new EncodedChunk(chunk.First + start, count, 0, count, output.WrittenMemory)]
            : EncodeInParts(chunk, codec, mostBytes, start, count / 2).Concat(EncodeInParts(chunk, codec, mostBytes, start + (count / 2), count - (count / 2)));
    }
}

/// <summary>A sink fed from another process. One caller at a time.</summary>
internal interface IEncodedSink
{
    /// <exception cref="PipelineStageException">The sink's code threw.</exception>
    void Add(EncodedChunk chunk);

    JsonElement Finish();
}

internal sealed class EncodedSink<T, TState, TResult>(
    SinkFold<T, TState, TResult> fold, IPayloadCodec<T> codec, Func<TResult, JsonElement> toJson) : IEncodedSink
{
    public void Add(EncodedChunk encoded)
    {
        var chunk = encoded.Decode(codec);
        fold.Add(chunk);
        chunk.Return();
    }

    public JsonElement Finish() => toJson(fold.Finish());
}
