using System.Text.Json.Serialization;

namespace DistributedPatterns.WorkerPool;

/// <summary>A part of an input file.</summary>
/// <param name="Input">The input's name: a sample, or an upload.</param>
/// <param name="Offset">The first byte.</param>
/// <param name="Length">How many bytes; <see langword="null"/> for all that follow. A part that reaches past the file's end is refused.</param>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
public sealed record FilePart(string Input, long Offset = 0, long? Length = null);

/// <summary>The SHA-256 of a part.</summary>
/// <param name="Sha256">64 hexadecimal digits, lower case.</param>
public sealed record FileDigest(string Input, long Offset, long Bytes, string Sha256);

/// <summary>What a part holds as text.</summary>
/// <param name="Lines">Line feeds. Parts that follow each other add up to the whole.</param>
/// <param name="Words">Runs of bytes other than ASCII white space that begin in this part; a word that was cut counts where it begins.</param>
public sealed record TextCount(string Input, long Offset, long Bytes, long Lines, long Words);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, RespectNullableAnnotations = true, RespectRequiredConstructorParameters = true)]
[JsonSerializable(typeof(FilePart))]
[JsonSerializable(typeof(FileDigest))]
[JsonSerializable(typeof(TextCount))]
[JsonSerializable(typeof(string))]
internal sealed partial class WorkerPoolJobsJson : JsonSerializerContext;
