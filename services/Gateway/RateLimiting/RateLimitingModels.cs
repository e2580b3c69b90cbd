using System.Text.Json.Serialization;

namespace DistributedPatterns.Gateway.RateLimiting;

/// <summary>An admitted request.</summary>
/// <param name="Remaining">Permits that were left right after, where that is known.</param>
/// <param name="WaitedMs">How long it waited to be admitted.</param>
/// <param name="State"><c>exact</c>, or <c>degraded</c> when it was decided while Redis was away.</param>
internal sealed record AdmittedReply(string Algorithm, string Key, int Cost, long? Remaining, double WaitedMs, string State);

/// <summary>What limits there are and what became of the requests that this gateway was asked for.</summary>
/// <param name="Outages">How many times Redis went away; only across processes.</param>
internal sealed record RateLimitingStats(string State, long? Outages, LimitReply Limit, IReadOnlyList<AlgorithmStats> Algorithms);

/// <summary>The limit of each key.</summary>
internal sealed record LimitReply(int Permits, double PeriodMs, int Burst, int Concurrent, int QueueLimit, string? WhenDown);

/// <summary>Requests = admitted + denied + never + cancelled. Degraded ones are among them.</summary>
internal sealed record AlgorithmStats(string Algorithm, long Requests, long Admitted, long Denied, long Never, long Cancelled, long Degraded);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(AdmittedReply))]
[JsonSerializable(typeof(RateLimitingStats))]
internal sealed partial class RateLimitingJson : JsonSerializerContext;
