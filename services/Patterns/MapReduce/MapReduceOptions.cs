using System.ComponentModel.DataAnnotations;

namespace DistributedPatterns.MapReduce;

/// <summary>Limits of map-reduce, for both variants.</summary>
public abstract class MapReduceOptions
{
    /// <summary>Gets or sets how much memory a mapper uses for pairs before it writes them to disk.</summary>
    /// <value>From 64 KiB to 1 GiB; 32 MiB unless set. One record may exceed it.</value>
    [Range(64 << 10, 1 << 30)]
    public int MapperMemoryBytes { get; set; } = 32 << 20;

    /// <summary>Gets or sets how long a record may be.</summary>
    /// <value>From 1 KiB to 64 MiB; 1 MiB unless set. A longer one counts as refused by the job.</value>
    [Range(1 << 10, 64 << 20)]
    public int MaxRecordBytes { get; set; } = 1 << 20;

    /// <summary>Gets or sets how many files a merge has open at a time; more are merged in several passes.</summary>
    /// <value>From 2 to 1,024; 64 unless set. Each takes 64 KiB.</value>
    [Range(2, 1_024)]
    public int MergeWidth { get; set; } = 64;

    /// <summary>Gets or sets how many jobs may be open at the same time: waiting and running.</summary>
    /// <value>From 1 to 10,000; 64 unless set.</value>
    [Range(1, 10_000)]
    public int MaxJobs { get; set; } = 64;

    /// <summary>Gets or sets how long the result of a job is kept after its end.</summary>
    /// <value>From 1 second to 7 days; 1 hour unless set.</value>
    [Range(typeof(TimeSpan), "00:00:01", "7.00:00:00")]
    public TimeSpan KeepResults { get; set; } = TimeSpan.FromHours(1);
}

/// <summary>Limits of map-reduce inside a process.</summary>
public sealed class ChannelMapReduceOptions : MapReduceOptions
{
    /// <summary>Gets or sets how many jobs run at the same time; others wait.</summary>
    /// <value>From 1 to 64; 2 unless set.</value>
    [Range(1, 64)]
    public int MaxRunning { get; set; } = 2;

    /// <summary>Gets or sets how many ended jobs are remembered at most; the oldest make room, with their results.</summary>
    /// <value>From 1 to 10,000; 256 unless set.</value>
    [Range(1, 10_000)]
    public int MaxKept { get; set; } = 256;

    /// <summary>Gets or sets what the ids that are given out begin with.</summary>
    /// <value>Empty unless set.</value>
    public string IdPrefix { get; set; } = "";
}

/// <summary>Limits and times of map-reduce across processes. All processes should have the same.</summary>
public sealed class RedisMapReduceOptions : MapReduceOptions
{
    /// <summary>Gets or sets the hash tag of the jobs' keys in Redis; those of the queues begin with it.</summary>
    /// <value>1 to 40 letters, digits, dots, underscores or hyphens; <c>map-reduce</c> unless set.</value>
    [Required, RegularExpression("^[A-Za-z0-9._-]{1,40}$")]
    public string KeyTag { get; set; } = "map-reduce";

    /// <summary>Gets or sets how many jobs one producer coordinates at a time.</summary>
    /// <value>From 1 to 64; 8 unless set.</value>
    [Range(1, 64)]
    public int JobsPerProducer { get; set; } = 8;

    /// <summary>Gets or sets how many tasks a worker or a reducer runs at a time.</summary>
    /// <value>From 1 to 256; 1 unless set: with three workers on one machine more would only share its processors.</value>
    [Range(1, 256)]
    public int TasksPerProcess { get; set; } = 1;

    /// <summary>Gets or sets how long a process keeps a job or a task without a sign of life before another one gets it.</summary>
    /// <value>From 500 milliseconds to 10 minutes; 10 seconds unless set.</value>
    [Range(typeof(TimeSpan), "00:00:00.5", "00:10:00")]
    public TimeSpan Lease { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>Gets or sets how often a task is tried before its job fails.</summary>
    /// <value>From 1 to 100; 5 unless set.</value>
    [Range(1, 100)]
    public int MaxAttempts { get; set; } = 5;

    /// <summary>Gets or sets how many times the median a task must take, once three quarters of its phase are done, to get a second attempt beside it.</summary>
    /// <value>From 1 to 100; 1.5 unless set.</value>
    [Range(1.0, 100.0)]
    public double BackupFactor { get; set; } = 1.5;

    /// <summary>Gets or sets how long a task must take at least to get a second attempt.</summary>
    /// <value>From zero to 1 hour; 1 second unless set.</value>
    [Range(typeof(TimeSpan), "00:00:00", "01:00:00")]
    public TimeSpan BackupAfter { get; set; } = TimeSpan.FromSeconds(1);
}
