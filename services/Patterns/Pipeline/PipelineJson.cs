using System.Text.Json.Serialization;

namespace DistributedPatterns.Pipeline;

/// <summary>How statuses are written, in Redis and in the gateway's replies.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(PipelineStatus))]
[JsonSerializable(typeof(StoredRequest))]
internal sealed partial class PipelineJson : JsonSerializerContext;
