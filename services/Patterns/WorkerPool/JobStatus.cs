using System.Text.Json;
using System.Text.Json.Serialization;

namespace DistributedPatterns.WorkerPool;

/// <summary>A job at one moment.</summary>
public sealed record JobStatus
{
    public required string Id { get; init; }

    /// <summary>Gets the job's name; <see langword="null"/> when all that is left of the job is its id.</summary>
    public string? Job { get; init; }

    public required JobState State { get; init; }

    /// <summary>Gets how often the job was handed to a worker, whether or not that worker lived to tell.</summary>
    public int Attempts { get; init; }

    /// <summary>Gets who runs the job, or ran it last.</summary>
    public string? Worker { get; init; }

    /// <summary>Gets why the last attempt, or the job, did not succeed.</summary>
    public JobError? Error { get; init; }

    /// <summary>Gets what the job returned; set exactly when <see cref="State"/> is <see cref="JobState.Done"/>.</summary>
    public JsonElement? Result { get; init; }

    /// <summary>Gets whether the job has ended; nothing changes any more.</summary>
    [JsonIgnore]
    public bool HasEnded => State >= JobState.Done;
}

/// <summary>Where a job is in its life. The last four are final.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<JobState>))]
public enum JobState
{
    /// <summary>Waits for a worker, or for its next attempt.</summary>
    Queued,
    Running,

    /// <summary>Returned a result.</summary>
    Done,

    /// <summary>Threw what is not worth another attempt.</summary>
    Failed,

    /// <summary>Cancelled by id, or taken back when the pool was drained.</summary>
    Cancelled,

    /// <summary>Used up its attempts, those that took their worker with them included, or passed its deadline.</summary>
    Dead,
}

/// <summary>Why a job did not succeed.</summary>
/// <param name="Kind">The exception's type, or <c>deadline</c>, <c>expired</c>, <c>drained</c>.</param>
public sealed record JobError(string Kind, string Message)
{
    internal static JobError Of(Exception error) => new(error.GetType().Name, error.Message);

    internal static JobError Deadline { get; } = new("deadline", "The job's deadline passed before it had a result.");

    internal static JobError Expired { get; } = new("expired", "The worker of the last attempt died, or was cut off longer than its lease.");
}

/// <summary>A job on a worker.</summary>
/// <param name="Worker">The process, and after the slash the worker in it.</param>
/// <param name="Since">How long the attempt has been running.</param>
public sealed record RunningJob(string Id, string Job, int Attempt, string Worker, TimeSpan Since);

/// <summary>A process that has workers.</summary>
/// <param name="Size">How many jobs it runs at the same time.</param>
/// <param name="Seen">How long ago it reported; a process that is silent for twice its period is gone from the list.</param>
public sealed record WorkerInfo(string Name, int Size, int Busy, TimeSpan Seen);

/// <summary>A pool at one moment.</summary>
public sealed record WorkerPoolSnapshot
{
    public required JobLedger Ledger { get; init; }

    public JobCounters Counters { get; init; } = new();

    /// <summary>Gets how many jobs may be open at the same time.</summary>
    public int Capacity { get; init; }

    /// <summary>Gets whether submits are refused because the pool is being, or was, drained.</summary>
    public bool IsDraining { get; init; }

    /// <summary>Gets how long the next job has been waiting; zero when none waits.</summary>
    public TimeSpan OldestQueued { get; init; }

    public IReadOnlyList<WorkerInfo> Workers { get; init; } = [];

    /// <summary>Gets who runs what since when. Across processes as of each worker's last report, so it may lag behind the ledger.</summary>
    public IReadOnlyList<RunningJob> Running { get; init; } = [];
}

/// <summary>What became of the jobs: <c>Submitted = Done + Failed + Cancelled + Dead + Queued + Running</c>, in one reading.</summary>
public sealed record JobLedger(long Submitted, long Done, long Failed, long Cancelled, long Dead, long Queued, long Running)
{
    /// <summary>Gets whether the equation holds.</summary>
    [JsonIgnore]
    public bool AddsUp => Submitted == Done + Failed + Cancelled + Dead + Queued + Running;
}

/// <summary>What happened besides.</summary>
/// <param name="Rejected">Submits refused because the pool was full.</param>
/// <param name="Redelivered">Attempts that were not their job's first, whatever ended the one before: an error, a crash, a hand-back.</param>
/// <param name="Expired">Attempts whose worker died or lost its lease. Always 0 in process.</param>
/// <param name="Fenced">Outcomes refused because their attempt no longer held the job. Always 0 in process.</param>
public sealed record JobCounters(long Rejected = 0, long Redelivered = 0, long Expired = 0, long Fenced = 0);
