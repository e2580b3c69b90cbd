using System.Text.Json.Serialization;
using DistributedPatterns.SingleFlight;

namespace DistributedPatterns.Gateway.SingleFlight;

/// <summary>What a run answered.</summary>
/// <param name="Run">Different for each run: who got the same shared one.</param>
/// <param name="Process">Where it ran.</param>
/// <param name="Fence">The number of the run; it rises from run to run of a key.</param>
internal sealed record FlightReply(string Key, string Run, string Process, bool IsShared, long Fence);

/// <summary>A file's digest, and whether others got it from the same run.</summary>
internal sealed record FileDigestReply(string Input, long Bytes, string Sha256, bool IsShared, long Fence);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(FlightReply))]
[JsonSerializable(typeof(FileDigestReply))]
[JsonSerializable(typeof(FlightLedger))]
internal sealed partial class SingleFlightJson : JsonSerializerContext;
