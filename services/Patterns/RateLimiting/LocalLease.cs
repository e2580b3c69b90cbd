using System.Threading.RateLimiting;

namespace DistributedPatterns.RateLimiting;

/// <summary>A decision that holds nothing. Its metadata is computed when it is asked for, which keeps the decision itself free of cost.</summary>
internal sealed class LocalLease(LocalRateLimiter limiter, DenialReason? reason, int permits) : RateLimitLease
{
    private static readonly string[] s_whenAcquired = [RateLimitMetadata.Remaining.Name, RateLimitMetadata.ResetAfter.Name];
    private static readonly string[] s_whenDenied = [.. s_whenAcquired, RateLimitMetadata.Reason.Name, MetadataName.RetryAfter.Name];

    public override bool IsAcquired => reason is null;

    public DenialReason? Reason => reason;

    public int Permits => permits;

    public override IEnumerable<string> MetadataNames => reason is null ? s_whenAcquired : s_whenDenied;

    public override bool TryGetMetadata(string metadataName, out object? metadata)
    {
        metadata = Read(limiter, metadataName);
        if (metadata is null && reason is { } why)
        {
            if (metadataName == RateLimitMetadata.Reason.Name) metadata = why;
            else if (metadataName == MetadataName.RetryAfter.Name && why is DenialReason.LimitReached or DenialReason.QueueFull)
                metadata = limiter.RetryAfter(permits);
        }
        return metadata is not null;
    }

    /// <summary>Reads what a lease of either outcome tells.</summary>
    public static object? Read(LocalRateLimiter limiter, string metadataName) =>
        metadataName == RateLimitMetadata.Remaining.Name ? limiter.Remaining
        : metadataName == RateLimitMetadata.ResetAfter.Name ? limiter.ResetAfter
        : null;
}
