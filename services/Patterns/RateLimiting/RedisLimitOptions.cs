using System.ComponentModel.DataAnnotations;

namespace DistributedPatterns.RateLimiting;

/// <summary>What a limiter on Redis does while Redis does not answer.</summary>
public enum OutagePolicy
{
    /// <summary>Admits everything: the limit protects nothing that would break.</summary>
    Open,

    /// <summary>Denies everything, with <see cref="DenialReason.Unavailable"/>: nothing may pass uncounted.</summary>
    Closed,

    /// <summary>Each instance admits its equal share of the limit by itself.</summary>
    LocalShare,
}

/// <summary>Where a limit lies in Redis and what holds while Redis is away.</summary>
public sealed class RedisLimitOptions
{
    /// <summary>Gets or sets the name of the limit, which is the hash tag of its keys: all limiters with this name share it.</summary>
    /// <value>1 to 200 characters without braces.</value>
    [Required, RegularExpression("^[^{}]{1,200}$")]
    public string Name { get; set; } = "";

    /// <summary>Gets or sets what is done while Redis does not answer.</summary>
    /// <value><see cref="OutagePolicy.LocalShare"/> unless set.</value>
    public OutagePolicy WhenDown { get; set; } = OutagePolicy.LocalShare;

    /// <summary>Gets or sets how many instances share the limit: each admits one part in so many while Redis is away.</summary>
    /// <value>From 1 to 1,000; 1 unless set. A burst smaller than this leaves each instance a burst of 1.</value>
    [Range(1, 1_000)]
    public int Instances { get; set; } = 1;
}

/// <summary>Limits that are kept exactly over all processes, all or nothing.</summary>
public sealed class RedisGcraOptions
{
    /// <summary>Gets the limits: a request passes when it passes all of them.</summary>
    /// <value>From 1 to 8. For each, burst × period in microseconds stays below 2^53.</value>
    public IList<RateLimitRule> Limits { get; init; } = [];

    /// <summary>Gets or sets how many permits may be waited for in one process.</summary>
    /// <value>From 0 (nobody waits) to 1,000,000; 0 unless set.</value>
    [Range(0, 1_000_000)]
    public int QueueLimit { get; set; }

    /// <summary>Gets or sets how many permits an instance takes from Redis at a time, to give them out without asking again.</summary>
    /// <value>From 0 (each request asks Redis) to 100,000; 0 unless set. At most the smallest burst.</value>
    /// <remarks>
    /// For a key that is too hot to ask for each time. What is borrowed may be used later, when the rate has earned as much
    /// again, so the bound becomes burst + rate × t + Borrow × instances; and an instance may hold permits that another lacks.
    /// </remarks>
    [Range(0, 100_000)]
    public int Borrow { get; set; }
}

/// <summary>At most so many permits held at the same time over all processes.</summary>
public sealed class RedisConcurrencyOptions
{
    /// <summary>Gets or sets how many permits can be held at the same time.</summary>
    /// <value>From 1 to 100,000; 10 unless set.</value>
    [Range(1, 100_000)]
    public int Permits { get; set; } = 10;

    /// <summary>Gets or sets how many permits may be waited for in one process.</summary>
    /// <value>From 0 (nobody waits) to 1,000,000; 0 unless set.</value>
    [Range(0, 1_000_000)]
    public int QueueLimit { get; set; }

    /// <summary>Gets or sets how long permits stay taken after their process died. A living one renews them every third of it.</summary>
    /// <value>From 300 milliseconds to 10 minutes; 10 seconds unless set.</value>
    [Range(typeof(TimeSpan), "00:00:00.300", "00:10:00")]
    public TimeSpan Lease { get; set; } = TimeSpan.FromSeconds(10);
}

/// <summary>How the limiters of a process ask Redis.</summary>
public sealed class RedisLimitStoreOptions
{
    /// <summary>Gets or sets how long an answer may take before the server counts as away.</summary>
    /// <value>From 20 milliseconds to 30 seconds; 500 milliseconds unless set.</value>
    [Range(typeof(TimeSpan), "00:00:00.020", "00:00:30")]
    public TimeSpan AnswerLimit { get; set; } = TimeSpan.FromMilliseconds(500);

    /// <summary>Gets or sets how often a server that is away is tried again.</summary>
    /// <value>From 50 milliseconds to 1 minute; 1 second unless set.</value>
    [Range(typeof(TimeSpan), "00:00:00.050", "00:01:00")]
    public TimeSpan ProbeEvery { get; set; } = TimeSpan.FromSeconds(1);
}
