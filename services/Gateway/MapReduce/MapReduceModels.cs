using System.ComponentModel;
using System.Text.Json.Serialization;
using DistributedPatterns.MapReduce;

namespace DistributedPatterns.Gateway.MapReduce;

/// <summary>Asks for a job.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record MapReduceSubmission(
    [property: Description("word-count, inverted-index or field-count.")] string? Job,
    [property: Description("us-constitution.txt, UnicodeData.txt, a file that you put among the inputs, or a path below the data folder.")] string? Input,
    [property: Description("How many bytes a split has, 1024 to 1073741824; 16 MiB unless given.")] long? SplitBytes,
    [property: Description("How many splits may be mapped at a time, 1 to 256.")] int? Mappers,
    [property: Description("Into how many partitions the keys are divided, 1 to 64; 4 unless given.")] int? Reducers,
    [property: Description("on: mappers fold the values of a key before they send them on; off.")] string? Combiner,
    [property: Description("stop: a record that the job refuses ends it; skip: it is left out and counted.")] string? OnBadRecord,
    [property: Description("The job's own: field and delimiter of field-count.")] Dictionary<string, string>? Parameters);

/// <summary>A job was taken on.</summary>
internal sealed record MapReduceAccepted(string Id, string Job, string Input, string Status, string Result);

/// <summary>The largest entries of a result.</summary>
internal sealed record TopReply(string Id, string Job, string Input, long Keys, string Sha256, IReadOnlyList<TopEntry> Top);

/// <summary>A file among the inputs.</summary>
internal sealed record InputReply(string Name, long Bytes);

/// <summary>The files that were put among the inputs.</summary>
internal sealed record InputsReply(IReadOnlyList<InputReply> Inputs, long Bytes, long LimitBytes);

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, UseStringEnumConverter = true)]
[JsonSerializable(typeof(MapReduceSubmission))]
[JsonSerializable(typeof(MapReduceAccepted))]
[JsonSerializable(typeof(MapReduceStatus))]
[JsonSerializable(typeof(MapReduceStats))]
[JsonSerializable(typeof(TopReply))]
[JsonSerializable(typeof(InputReply))]
[JsonSerializable(typeof(InputsReply))]
internal sealed partial class MapReduceEndpointsJson : JsonSerializerContext;
