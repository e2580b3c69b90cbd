using System.Threading.RateLimiting;

namespace DistributedPatterns.RateLimiting;

/// <summary>What Redis said to one request.</summary>
/// <param name="Admitted">Whether it has the permits.</param>
/// <param name="Wait">Admitted: how long until they may be used. Denied: how long until it is worth to ask again, if that is known.</param>
/// <param name="Remaining">How many permits are left.</param>
/// <param name="ResetAfter">How long until all are there again, if that is known.</param>
/// <param name="Claim">What gives the permits back.</param>
internal sealed record RedisVerdict(bool Admitted, TimeSpan? Wait, long Remaining, TimeSpan? ResetAfter = null, object? Claim = null);

/// <summary>How a request wants to be answered.</summary>
internal enum Asking
{
    /// <summary>Yes or no, now.</summary>
    Once,

    /// <summary>It stands at the head of those who wait in this process, and may be promised permits.</summary>
    InLine,
}

/// <summary>A decision made over Redis, or while it was away.</summary>
internal sealed class RedisLease(DenialReason? reason, RedisVerdict? verdict, LimiterState decidedBy = LimiterState.Exact, RateLimitLease? inner = null) : RateLimitLease
{
    public override bool IsAcquired => reason is null;

    public override IEnumerable<string> MetadataNames => s_names.Where(name => TryGetMetadata(name, out _));

    private static readonly string[] s_names =
    [
        RateLimitMetadata.Reason.Name, MetadataName.RetryAfter.Name, RateLimitMetadata.Remaining.Name, RateLimitMetadata.ResetAfter.Name, RateLimitMetadata.DecidedBy.Name,
    ];

    public override bool TryGetMetadata(string metadataName, out object? metadata)
    {
        metadata = metadataName == RateLimitMetadata.DecidedBy.Name ? decidedBy
            : metadataName == RateLimitMetadata.Reason.Name ? reason
            : metadataName == MetadataName.RetryAfter.Name && verdict is not null ? (reason is null ? null : verdict.Wait)
            : metadataName == RateLimitMetadata.Remaining.Name && verdict is not null ? verdict.Remaining
            : metadataName == RateLimitMetadata.ResetAfter.Name && verdict is not null ? verdict.ResetAfter
            : null;
        return metadata is not null || (inner?.TryGetMetadata(metadataName, out metadata) ?? false);
    }

    protected override void Dispose(bool disposing)
    {
        inner?.Dispose();
        base.Dispose(disposing);
    }
}
