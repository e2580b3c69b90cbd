using System.ComponentModel.DataAnnotations;

namespace DistributedPatterns.RateLimiting;

/// <summary>The limit that <see cref="IRateLimiting"/> applies to each key; section <c>Patterns:RateLimiting</c>, for both variants.</summary>
public sealed class RateLimitingOptions
{
    /// <summary>Gets or sets how many permits are earned in each <see cref="Period"/>.</summary>
    /// <value>From 1 to 10,000; 100 unless set.</value>
    [Range(1, 10_000)]
    public int Permits { get; set; } = 100;

    /// <summary>Gets or sets the time in which <see cref="Permits"/> are earned, and the length of the windows.</summary>
    /// <value>Whole milliseconds from 10 milliseconds to 1 hour; 1 second unless set.</value>
    [Range(typeof(TimeSpan), "00:00:00.010", "01:00:00")]
    public TimeSpan Period { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>Gets or sets the most permits at once, of GCRA and the token bucket.</summary>
    /// <value>From 1 to 100,000; 100 unless set.</value>
    [Range(1, 100_000)]
    public int Burst { get; set; } = 100;

    /// <summary>Gets or sets how many permits can be held at the same time.</summary>
    /// <value>From 1 to 10,000; 10 unless set.</value>
    [Range(1, 10_000)]
    public int Concurrent { get; set; } = 10;

    /// <summary>Gets or sets how many permits of a key may be waited for in one process.</summary>
    /// <value>From 0 to 1,000,000; 1,000 unless set.</value>
    [Range(0, 1_000_000)]
    public int QueueLimit { get; set; } = 1_000;

    /// <summary>Gets or sets how many keys of an algorithm may have a limiter in one process.</summary>
    /// <value>From 1 to 1,000,000; 10,000 unless set.</value>
    [Range(1, 1_000_000)]
    public int MaxKeys { get; set; } = 10_000;

    /// <summary>Gets the time from one to the next of the pacer: the rate, without a burst.</summary>
    internal TimeSpan Interval => Period / Permits;
}

/// <summary>What only the variant across processes has; section <c>Patterns:RateLimiting:Redis</c>.</summary>
public sealed class RedisRateLimitingOptions
{
    /// <summary>Gets or sets what the names of the limits begin with. Systems that share a Redis need one each.</summary>
    /// <value>1 to 64 letters, digits, dots, underscores or hyphens; <c>rate</c> unless set.</value>
    [Required, RegularExpression("^[A-Za-z0-9._-]{1,64}$")]
    public string KeyPrefix { get; set; } = "rate";

    /// <summary>Gets or sets what is done while Redis does not answer.</summary>
    /// <value><see cref="OutagePolicy.LocalShare"/> unless set.</value>
    public OutagePolicy WhenDown { get; set; } = OutagePolicy.LocalShare;

    /// <summary>Gets or sets how many instances share the limits, for <see cref="OutagePolicy.LocalShare"/>.</summary>
    /// <value>From 1 to 1,000; 1 unless set.</value>
    [Range(1, 1_000)]
    public int Instances { get; set; } = 1;

    /// <summary>Gets or sets how many permits of GCRA an instance borrows at a time, see <see cref="RedisGcraOptions.Borrow"/>.</summary>
    /// <value>From 0 (off) to 100,000; 0 unless set.</value>
    [Range(0, 100_000)]
    public int Borrow { get; set; }

    /// <summary>Gets or sets how long a dead process holds its concurrency permits.</summary>
    /// <value>From 300 milliseconds to 10 minutes; 10 seconds unless set.</value>
    [Range(typeof(TimeSpan), "00:00:00.300", "00:10:00")]
    public TimeSpan Lease { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>Gets or sets how long an answer of Redis may take before it counts as away.</summary>
    /// <value>From 20 milliseconds to 30 seconds; 500 milliseconds unless set.</value>
    [Range(typeof(TimeSpan), "00:00:00.020", "00:00:30")]
    public TimeSpan AnswerLimit { get; set; } = TimeSpan.FromMilliseconds(500);

    /// <summary>Gets or sets how often a Redis that is away is tried again.</summary>
    /// <value>From 50 milliseconds to 1 minute; 1 second unless set.</value>
    [Range(typeof(TimeSpan), "00:00:00.050", "00:01:00")]
    public TimeSpan ProbeEvery { get; set; } = TimeSpan.FromSeconds(1);
}
