using System.ComponentModel.DataAnnotations;

namespace DistributedPatterns.Pipeline;

/// <summary>Limits and times of pipelines across processes. All processes of a system should have the same.</summary>
public sealed class GrpcPipelineOptions
{
    /// <summary>Gets or sets the hash tag of the keys in Redis. Systems that share a Redis need one each.</summary>
    /// <value>1 to 64 letters, digits, dots, underscores or hyphens; <c>pipeline</c> unless set.</value>
    [RegularExpression("^[A-Za-z0-9._-]{1,64}$")]
    public string KeyTag { get; set; } = "pipeline";

    /// <summary>Gets or sets how many runs may be open at the same time, over all processes.</summary>
    /// <value>From 1 to 10,000; 64 unless set.</value>
    [Range(1, 10_000)]
    public int MaxRuns { get; set; } = 64;

    /// <summary>Gets or sets how many runs one producer drives at the same time.</summary>
    /// <value>From 1 to 1,000; 8 unless set.</value>
    [Range(1, 1_000)]
    public int MaxRunsPerProducer { get; set; } = 8;

    /// <summary>Gets or sets how long a producer keeps a run without renewing its lease; after that another one takes it over.</summary>
    /// <value>From 500 milliseconds to 1 minute; 3 seconds unless set.</value>
    [Range(typeof(TimeSpan), "00:00:00.5", "00:01:00")]
    public TimeSpan Lease { get; set; } = TimeSpan.FromSeconds(3);

    /// <summary>Gets or sets how many messages of a run may be under way, which also bounds the sink's reorder buffer.</summary>
    /// <value>From 1 to 1,024; 32 unless set.</value>
    [Range(1, 1_024)]
    public int Window { get; set; } = 32;

    /// <summary>Gets or sets how long a run waits for a worker or a reducer when none is alive, before it fails.</summary>
    /// <value>From 1 second to 1 hour; 30 seconds unless set.</value>
    [Range(typeof(TimeSpan), "00:00:01", "01:00:00")]
    public TimeSpan MemberWait { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>Gets or sets how long an ended run can still be found.</summary>
    /// <value>From 1 second to 1 day; 10 minutes unless set.</value>
    [Range(typeof(TimeSpan), "00:00:01", "1.00:00:00")]
    public TimeSpan KeepEnded { get; set; } = TimeSpan.FromMinutes(10);
}
