using System.Text.Json;
using System.Text.Json.Serialization;

namespace DistributedPatterns.WorkerPool;

/// <summary>Runs named jobs, as many at the same time as it has workers, and keeps what became of each.</summary>
/// <remarks>
/// What both variants keep:
/// <list type="bullet">
/// <item>Bounded: no more than <c>Capacity</c> jobs are open (queued, waiting for a retry, or running). Beyond that a submit waits or is refused, and is counted.</item>
/// <item>Nothing is lost in silence: submitted = done + failed + cancelled + dead + queued + running (<see cref="JobLedger"/>) in every snapshot.</item>
/// <item>A job's error is its own: it is retried with growing, jittered delays, then kept with the job. No worker ends because of it.</item>
/// <item>Limits are cooperative: the job's token is cancelled at its time limit, at its deadline and when somebody cancels it.</item>
/// <item>A job whose deadline has passed is not run.</item>
/// <item>Cancelling a caller's token ends that caller's waiting, never the job.</item>
/// </list>
/// <para><see cref="ChannelWorkerPool"/> lives and dies with its process and runs an attempt once. <see cref="RedisWorkerPool"/> survives
/// the death of submitters and workers; for that a job may run twice, even at the same time, and one outcome counts.</para>
/// </remarks>
public interface IWorkerPool
{
    /// <summary>Takes a job on. An id that the pool still knows returns that job instead (<see cref="JobHandle.IsNew"/>).</summary>
    /// <exception cref="UnknownJobException">No job of that name is registered.</exception>
    /// <exception cref="JobInputException">The job's input is not what the job takes.</exception>
    /// <exception cref="WorkerPoolFullException">There was no room, at once or within the limit.</exception>
    /// <exception cref="WorkerPoolDrainingException">The pool takes nothing on at present.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled while waiting. Across processes the job may have been taken on; one that was given an id can be found by it.</exception>
    ValueTask<JobHandle> SubmitAsync(JobRequest request, CancellationToken cancellationToken = default);

    /// <summary>Returns how far a job is, or <see langword="null"/> when the id is not known (any more).</summary>
    ValueTask<JobStatus?> FindAsync(string id, CancellationToken cancellationToken = default);

    /// <summary>Waits until the job has ended, however it ended.</summary>
    /// <exception cref="JobNotFoundException">The id is not known, or was forgotten meanwhile.</exception>
    Task<JobStatus> WaitAsync(string id, CancellationToken cancellationToken = default);

    /// <summary>Cancels a job: at once while it is queued, through its token while it runs, in whatever process that is.</summary>
    ValueTask<JobCancellation> CancelAsync(string id, CancellationToken cancellationToken = default);

    /// <summary>Changes how many jobs run at the same time in each process that has workers. A surplus worker leaves after its current job.</summary>
    /// <param name="size">From 1 to <see cref="MaxSize"/>.</param>
    ValueTask ResizeAsync(int size, CancellationToken cancellationToken = default);

    /// <summary>Takes nothing on any more, lets the open jobs end within a limit, then takes back what has not ended. <see cref="ResumeAsync"/> ends it.</summary>
    /// <param name="limit">How long to wait for open jobs, queued ones included.</param>
    /// <param name="cancellationToken">Ends the waiting early: what is left is taken back at once.</param>
    /// <returns>What finished, what was handed back, and what did not stop.</returns>
    Task<DrainReport> DrainAsync(TimeSpan limit, CancellationToken cancellationToken = default);

    /// <summary>Takes jobs on again.</summary>
    ValueTask ResumeAsync(CancellationToken cancellationToken = default);

    /// <summary>Reads the ledger, and who runs what since when.</summary>
    ValueTask<WorkerPoolSnapshot> GetSnapshotAsync(CancellationToken cancellationToken = default);

    /// <summary>The most workers a process can have.</summary>
    const int MaxSize = 1_024;
}

/// <summary>A job to run.</summary>
/// <param name="Job">The name of a registered <see cref="JobDefinition"/>.</param>
/// <param name="Input">What the job works on, as JSON.</param>
/// <remarks>Inputs and results are JSON in both variants: a job can never come to depend on sharing memory with its submitter.</remarks>
public sealed record JobRequest(string Job, JsonElement Input)
{
    /// <summary>Gets the job's id, 1 to 128 characters, or <see langword="null"/> for a new one. An id stands for one job: submitting it again returns that job.</summary>
    public string? Id { get; init; }

    /// <summary>Gets how long the job may take from now on, waiting and retries included, or <see langword="null"/> for no deadline.</summary>
    /// <value>From 1 millisecond to 7 days.</value>
    public TimeSpan? TimeToLive { get; init; }
}

/// <summary>What <see cref="IWorkerPool.CancelAsync"/> did.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<JobCancellation>))]
public enum JobCancellation
{
    /// <summary>The job is cancelled: it was waiting, or had been cancelled before.</summary>
    Cancelled,

    /// <summary>The job runs; its token is being cancelled. It may still finish.</summary>
    Asked,

    /// <summary>The job had ended otherwise.</summary>
    TooLate,

    /// <summary>The id is not known (any more).</summary>
    Unknown,
}

/// <summary>What became of the open jobs of a pool that was drained.</summary>
/// <param name="Finished">How many ended by themselves while the pool drained.</param>
/// <param name="HandedBack">How many did not get to their end. In process they are cancelled, across processes they wait in the queue.</param>
/// <param name="NotStopped">The jobs that ran on although their token was cancelled.</param>
public sealed record DrainReport(long Finished, long HandedBack, IReadOnlyList<RunningJob> NotStopped);
