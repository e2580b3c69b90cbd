using System.Buffers;
using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json.Serialization;
using DistributedPatterns.MapReduce;
using DistributedPatterns.Payloads;

namespace DistributedPatterns.SingleFlight.Works;

/// <summary>The work <c>digest</c>: the SHA-256 of an input's file, which takes as long as reading it, and which all who ask want to be the same.</summary>
public static class FileDigest
{
    public const string Name = "digest";

    /// <summary>The largest file, in bytes.</summary>
    public const long MaxBytes = 16L << 30;

    private const int BufferBytes = 256 << 10;

    /// <summary>Describes the work.</summary>
    public static FlightDefinition<string, DigestReply> Create(MapReduceInputs inputs) => new(
        Name, PayloadCodec.Json(FlightWorksJson.Default.DigestReply), (input, context) => HashAsync(inputs, input, context.Token));

    /// <summary>Returns the key of a file's digest: a file that was written anew is another one.</summary>
    /// <exception cref="MapReduceInputException">There is no such input, or it is too large.</exception>
    public static string KeyOf(MapReduceInputs inputs, string input)
    {
        ArgumentNullException.ThrowIfNull(inputs);
        var file = Find(inputs, input);
        return string.Create(CultureInfo.InvariantCulture, $"{input}:{file.Length}:{file.Version}");
    }

    private static InputFile Find(MapReduceInputs inputs, string input)
    {
        var file = inputs.Find(input);
        return file.Length <= MaxBytes ? file : throw new MapReduceInputException(string.Create(CultureInfo.InvariantCulture,
            $"Input '{input}' has {file.Length:N0} bytes; a digest is taken of {MaxBytes:N0} at most."));
    }

    private static async ValueTask<DigestReply> HashAsync(MapReduceInputs inputs, string input, CancellationToken cancellationToken)
    {
        var before = Find(inputs, input);
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var buffer = ArrayPool<byte>.Shared.Rent(BufferBytes);
        try
        {
            using var file = File.OpenHandle(before.Path, options: FileOptions.Asynchronous | FileOptions.SequentialScan);
            for (var position = 0L; await RandomAccess.ReadAsync(file, buffer, position, cancellationToken).ConfigureAwait(false) is > 0 and var read; position += read)
                hash.AppendData(buffer.AsSpan(0, read));
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
        if (inputs.Find(input) != before) throw new IOException($"Input '{input}' was written while it was read. Ask again.");
        return new DigestReply(input, before.Length, Convert.ToHexStringLower(hash.GetHashAndReset()));
    }
}

/// <summary>A file's digest.</summary>
/// <param name="Sha256">64 hexadecimal digits.</param>
public sealed record DigestReply(string Input, long Bytes, string Sha256);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(DigestReply))]
[JsonSerializable(typeof(SimulatedAnswer))]
internal sealed partial class FlightWorksJson : JsonSerializerContext;
