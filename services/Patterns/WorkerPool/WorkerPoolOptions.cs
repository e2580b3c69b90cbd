using System.ComponentModel.DataAnnotations;

namespace DistributedPatterns.WorkerPool;

/// <summary>Limits of a pool, for both variants.</summary>
public abstract class WorkerPoolOptions
{
    /// <summary>Gets or sets how many jobs may be open at the same time: queued, waiting for a retry, or running.</summary>
    /// <value>From 1 to 1,000,000; 1,024 unless set.</value>
    [Range(1, 1_000_000)]
    public int Capacity { get; set; } = 1_024;

    /// <summary>Gets or sets what a submit does when the pool is full.</summary>
    /// <value><see cref="PoolFullPolicy.Wait"/> unless set.</value>
    [EnumDataType(typeof(PoolFullPolicy))]
    public PoolFullPolicy WhenFull { get; set; }

    /// <summary>Gets or sets how long a submit waits for room (<see cref="PoolFullPolicy.Wait"/> only).</summary>
    /// <value>From zero to 1 day; <see langword="null"/>, as long as the caller's token allows, unless set.</value>
    [Range(typeof(TimeSpan), "00:00:00", "1.00:00:00")]
    public TimeSpan? FullWait { get; set; }

    /// <summary>Gets or sets how many jobs run at the same time in each process that has workers, until <see cref="IWorkerPool.ResizeAsync"/> says otherwise.</summary>
    /// <value>From 1 to 1,024; 8 unless set.</value>
    [Range(1, IWorkerPool.MaxSize)]
    public int Size { get; set; } = 8;

    /// <summary>Gets or sets how long an ended job is kept with its result.</summary>
    /// <value>From 1 second to 7 days; 10 minutes unless set.</value>
    [Range(typeof(TimeSpan), "00:00:01", "7.00:00:00")]
    public TimeSpan KeepEndedFor { get; set; } = TimeSpan.FromMinutes(10);

    /// <summary>Gets or sets how many ended jobs are kept at most; the oldest are forgotten.</summary>
    /// <value>From 1 to 1,000,000; 10,000 unless set.</value>
    [Range(1, 1_000_000)]
    public int KeepEnded { get; set; } = 10_000;

    /// <summary>Gets or sets how long the workers of a process that is asked to stop go on with what they have. Then their jobs are cancelled and handed back.</summary>
    /// <value>From zero to 10 minutes; 10 seconds unless set. Less than the host's own limit (30 seconds unless set).</value>
    [Range(typeof(TimeSpan), "00:00:00", "00:10:00")]
    public TimeSpan ShutdownLimit { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>Gets or sets how long a job whose token was cancelled may take to stop before it is reported as not stopped.</summary>
    /// <value>From zero to 1 minute; 2 seconds unless set.</value>
    [Range(typeof(TimeSpan), "00:00:00", "00:01:00")]
    public TimeSpan StopGrace { get; set; } = TimeSpan.FromSeconds(2);
}

/// <summary>What a submit does when the pool is full. Refusals are counted.</summary>
public enum PoolFullPolicy
{
    /// <summary>It waits for room: back-pressure.</summary>
    Wait,

    /// <summary>It is refused at once with <see cref="WorkerPoolFullException"/>.</summary>
    Reject,
}
