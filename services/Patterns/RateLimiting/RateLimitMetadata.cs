using System.Threading.RateLimiting;

namespace DistributedPatterns.RateLimiting;

/// <summary>What the leases of these limiters tell beside <see cref="MetadataName.RetryAfter"/>.</summary>
/// <remarks>The leases of limiters in process compute it when they are asked, so it is as fresh as the question.</remarks>
public static class RateLimitMetadata
{
    /// <summary>Why a lease was not acquired.</summary>
    public static MetadataName<DenialReason> Reason { get; } = MetadataName.Create<DenialReason>("PATTERNS_DENIAL_REASON");

    /// <summary>How many permits could be had right after the decision.</summary>
    public static MetadataName<long> Remaining { get; } = MetadataName.Create<long>("PATTERNS_REMAINING");

    /// <summary>How long until all permits are there again, if nobody takes one.</summary>
    public static MetadataName<TimeSpan> ResetAfter { get; } = MetadataName.Create<TimeSpan>("PATTERNS_RESET_AFTER");

    /// <summary>Whether the decision was made while Redis was away.</summary>
    public static MetadataName<LimiterState> DecidedBy { get; } = MetadataName.Create<LimiterState>("PATTERNS_DECIDED_BY");

    /// <summary>Fires when a lease on permits in Redis could not be renewed in time: others may have the permits now.</summary>
    public static MetadataName<CancellationToken> LeaseLost { get; } = MetadataName.Create<CancellationToken>("PATTERNS_LEASE_LOST");

    /// <summary>Gets how long to wait before the same request can be admitted; nothing where time alone does not help.</summary>
    public static TimeSpan? GetRetryAfter(this RateLimitLease lease) => lease.TryGetMetadata(MetadataName.RetryAfter, out var wait) ? wait : null;

    /// <summary>Gets why the lease was not acquired; nothing for one that was, or of another kind of limiter.</summary>
    public static DenialReason? GetDenialReason(this RateLimitLease lease) => lease.TryGetMetadata(Reason, out var reason) ? reason : null;
}

/// <summary>Why permits were not given.</summary>
public enum DenialReason
{
    /// <summary>The limit is reached; later there will be room.</summary>
    LimitReached,

    /// <summary>More permits than the burst: it will never be possible. Ask for less.</summary>
    NeverPossible,

    /// <summary>The limit is reached, and as many wait as may.</summary>
    QueueFull,

    /// <summary>The answer lies in Redis and cannot be had synchronously: use <see cref="RateLimiter.AcquireAsync"/>.</summary>
    AsyncOnly,

    /// <summary>Redis is away and the policy is <see cref="OutagePolicy.Closed"/>.</summary>
    Unavailable,

    /// <summary>The limiter was disposed while the request waited.</summary>
    Disposed,
}
