namespace DistributedPatterns.ProducerConsumer;

/// <summary>What both variants refuse, and how they write ids and reasons.</summary>
internal static class WorkQueueLimits
{
    public const int MaxIdLength = 128;
    public const int MaxReserve = 1_000;

    private const int MaxReasonLength = 256;
    private const int MaxPriority = 15;
    private static readonly TimeSpan s_maxTime = TimeSpan.FromDays(365);

    public static void Check<T>(WorkItem<T> item)
    {
        if (item.Id is { } id && (id.Length is 0 or > MaxIdLength || id.AsSpan().ContainsAnyInRange('\0', '\x1f')))
            throw new ArgumentException($"An id has 1 to {MaxIdLength} characters and no control characters.", nameof(item));
        ArgumentOutOfRangeException.ThrowIfNegative(item.Priority);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(item.Priority, MaxPriority);
        CheckTime(item.Delay);
        if (item.TimeToLive is { } ttl)
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(ttl, TimeSpan.FromMilliseconds(1));
            CheckTime(ttl);
        }
    }

    public static void CheckCount(int count)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(count, MaxReserve);
    }

    /// <summary>Checks a settlement and cuts a reason that is too long.</summary>
    /// <exception cref="PayloadTooLargeException">The result is too large.</exception>
    public static Settlement Check(Settlement settlement, string queue, int maxResultBytes)
    {
        CheckTime(settlement.Time);
        if (settlement.Verb == SettleVerb.Extend) ArgumentOutOfRangeException.ThrowIfLessThan(settlement.Time, TimeSpan.FromMilliseconds(1));
        if (settlement.Result.Length > maxResultBytes) throw new PayloadTooLargeException(queue, maxResultBytes, settlement.Result.Length);
        return settlement.Reason.Length <= MaxReasonLength ? settlement : settlement.WithReason(settlement.Reason[..MaxReasonLength]);
    }

    private static void CheckTime(TimeSpan time)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(time, TimeSpan.Zero);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(time, s_maxTime);
    }
}
