using System.ComponentModel.DataAnnotations;

namespace DistributedPatterns.WorkerPool;

/// <summary>Limits and times of the pool across processes. All processes of a system should have the same.</summary>
public sealed class RedisWorkerPoolOptions : WorkerPoolOptions
{
    /// <summary>Gets or sets the hash tag of the keys in Redis. Systems that share a Redis need one each.</summary>
    /// <value>1 to 64 letters, digits, dots, underscores or hyphens; <c>jobs</c> unless set.</value>
    [RegularExpression("^[A-Za-z0-9._-]{1,64}$")]
    public string KeyTag { get; set; } = "jobs";

    /// <summary>Gets or sets what this process is called where workers are listed; a restart gets a new ending.</summary>
    /// <value>The id of <c>Members</c> unless set.</value>
    public string? Name { get; set; }

    /// <summary>Gets or sets how long a worker keeps a job without renewing its lease. A dead worker's job starts elsewhere within it.</summary>
    /// <value>From 500 milliseconds to 10 minutes; 15 seconds unless set. Renewed three times in it, by one task for all jobs of the process.</value>
    [Range(typeof(TimeSpan), "00:00:00.5", "00:10:00")]
    public TimeSpan Lease { get; set; } = TimeSpan.FromSeconds(15);

    /// <summary>Gets or sets how often a process with workers reports what it runs, and learns of a new size or a drain at the latest.</summary>
    /// <value>From 50 milliseconds to 1 minute; 1 second unless set.</value>
    [Range(typeof(TimeSpan), "00:00:00.05", "00:01:00")]
    public TimeSpan ReportEvery { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>Gets or sets how long a call goes on trying when Redis is away, before its error surfaces. Waiting for a job's end goes on as long as the caller's token allows.</summary>
    /// <value>From zero to 1 hour; 30 seconds unless set.</value>
    [Range(typeof(TimeSpan), "00:00:00", "01:00:00")]
    public TimeSpan RetryFor { get; set; } = TimeSpan.FromSeconds(30);
}
