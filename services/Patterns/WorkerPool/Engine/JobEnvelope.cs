using System.Text.Json;
using System.Text.Json.Serialization;

namespace DistributedPatterns.WorkerPool.Engine;

/// <summary>A job on its way to a worker. Deadline, attempt and creator's span are kept by the queue beside it.</summary>
internal sealed record JobEnvelope(string Job, JsonElement Input);

/// <summary>A job's outcome, kept with its end in one step.</summary>
internal sealed record StoredOutcome(string Job, string Worker, JsonElement? Result = null, JobError? Error = null);

/// <summary>What a process with workers says of itself.</summary>
internal sealed record WorkerReport(int Size, IReadOnlyList<ReportedJob> Running);

/// <param name="Slot">Which worker of the process, from 1.</param>
/// <param name="SinceMs">How long it had been running at the time of the report.</param>
internal sealed record ReportedJob(string Id, string Job, int Attempt, int Slot, long SinceMs);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(JobEnvelope))]
[JsonSerializable(typeof(StoredOutcome))]
[JsonSerializable(typeof(WorkerReport))]
internal sealed partial class WorkerPoolJson : JsonSerializerContext;
