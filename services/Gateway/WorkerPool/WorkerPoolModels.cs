using System.ComponentModel;
using System.Text.Json;
using System.Text.Json.Serialization;
using DistributedPatterns.WorkerPool;

namespace DistributedPatterns.Gateway.WorkerPool;

/// <summary>Asks for a job.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record JobSubmission(
    [property: Description("The job's name: sha256, text-count or simulated.")] string? Job,
    [property: Description("What it works on: {\"input\":\"unicode-data\",\"offset\":0,\"length\":1000} for sha256 and text-count, \"io:5ms\" for simulated.")] JsonElement? Input);

/// <summary>A job was taken on.</summary>
internal sealed record JobAccepted(string Id, string Job, string Status);

/// <summary>What a cancel did.</summary>
internal sealed record CancelReply(string Id, JobCancellation Cancellation);

/// <summary>How many jobs each process with workers runs at the same time from now on.</summary>
internal sealed record SizeReply(int Size);

/// <summary>Who has workers, and what they run.</summary>
internal sealed record WorkersReply(IReadOnlyList<WorkerInfo> Workers, IReadOnlyList<RunningJob> Running);

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(JobSubmission))]
[JsonSerializable(typeof(JobAccepted))]
[JsonSerializable(typeof(JobStatus))]
[JsonSerializable(typeof(CancelReply))]
[JsonSerializable(typeof(SizeReply))]
[JsonSerializable(typeof(WorkersReply))]
[JsonSerializable(typeof(WorkerPoolSnapshot))]
[JsonSerializable(typeof(DrainReport))]
[JsonSerializable(typeof(string))]
internal sealed partial class WorkerPoolEndpointsJson : JsonSerializerContext;
