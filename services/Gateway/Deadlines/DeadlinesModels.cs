using System.Text.Json.Serialization;
using DistributedPatterns.Deadlines;

namespace DistributedPatterns.Gateway.Deadlines;

/// <summary>What became of a budget.</summary>
internal sealed record BudgetReply(double BudgetMs, double ElapsedMs, double RemainingMs, IReadOnlyList<HopUse> Hops);

/// <summary>How operations ended.</summary>
/// <param name="Processes">Those that can be asked.</param>
/// <param name="LeftBehind">What this gateway no longer waits for although it runs on.</param>
/// <param name="Detached">What this gateway does for callers that may have left.</param>
/// <param name="Overruns">How late this gateway's callers heard of deadlines that had passed.</param>
internal sealed record DeadlineStats(IReadOnlyList<OperationLedger> Processes, int LeftBehind, int Detached, BudgetOverruns Overruns);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(BudgetReply))]
[JsonSerializable(typeof(DeadlineStats))]
internal sealed partial class DeadlinesJson : JsonSerializerContext;
