using System.Text.Json.Serialization;
using DistributedPatterns.WorkerPool;

namespace DistributedPatterns.PatternCli.WorkerPool;

/// <summary>A pool to submit parts of a file to, wherever it is.</summary>
internal interface IJobPool : IAsyncDisposable
{
    /// <summary>Gets where it runs, for people.</summary>
    string Where { get; }

    /// <summary>Submits a job and waits for its end. Cancelling cancels the job, and returns how it ended.</summary>
    Task<JobStatus> RunAsync(string job, FilePart part, CancellationToken cancellationToken);

    Task<WorkerPoolSnapshot> ReadAsync();
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(SubmittedJob))]
[JsonSerializable(typeof(JobStatus))]
[JsonSerializable(typeof(WorkerPoolSnapshot))]
[JsonSerializable(typeof(FileDigest))]
[JsonSerializable(typeof(TextCount))]
internal sealed partial class WorkerPoolCliJson : JsonSerializerContext;

/// <summary>What the gateway takes as a job.</summary>
internal sealed record SubmittedJob(string Job, FilePart Input);
