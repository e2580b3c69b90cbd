namespace DistributedPatterns.WorkerPool;

/// <summary>What both variants accept.</summary>
internal static class JobRequestRules
{
    private static readonly TimeSpan s_longest = TimeSpan.FromDays(7);

    public static void Check(JobRequest request)
    {
        if (request.Id is { } id && (id.Length is 0 or > 128 || id.Any(char.IsControl)))
            throw new ArgumentException("A job's id has 1 to 128 characters, none of them a control character.", nameof(request));
        if (request.TimeToLive is { } left && (left < TimeSpan.FromMilliseconds(1) || left > s_longest))
            throw new ArgumentException($"A job's TimeToLive is from 1 millisecond to 7 days, not {left:c}.", nameof(request));
    }
}
