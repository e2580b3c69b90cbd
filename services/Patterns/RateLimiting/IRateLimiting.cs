using System.Threading.RateLimiting;

namespace DistributedPatterns.RateLimiting;

/// <summary>Limits by algorithm and key, one configured limit for all: what a gateway or a job runner asks. Both variants serve it.</summary>
/// <remarks>What a lease promises is said at <see cref="MeteredRateLimiter"/>. Keep a lease of <see cref="RateLimitAlgorithm.Concurrency"/> while the work runs.</remarks>
public interface IRateLimiting
{
    /// <summary>Gets the algorithms of this variant.</summary>
    IReadOnlyList<RateLimitAlgorithm> Algorithms { get; }

    /// <summary>Gets what an algorithm limits to.</summary>
    /// <exception cref="UnknownAlgorithmException">This variant does not have it.</exception>
    RateLimitPolicy PolicyOf(RateLimitAlgorithm algorithm);

    /// <summary>Gets permits, or the reason why not: now, or within a time if the queue has room.</summary>
    /// <param name="algorithm">One of <see cref="Algorithms"/>.</param>
    /// <param name="key">Whose limit. Any text.</param>
    /// <param name="permits">From 0, which asks whether one is there.</param>
    /// <param name="maxWait">Zero decides now.</param>
    /// <param name="cancellationToken">Ends waiting.</param>
    /// <returns>A lease to dispose. One that was waited for in vain is denied and tells what is left to wait, where that is known.</returns>
    /// <exception cref="UnknownAlgorithmException">This variant does not have the algorithm.</exception>
    /// <exception cref="TooManyKeysException">The key is new and there is no room for it.</exception>
    /// <exception cref="OperationCanceledException">The token fired.</exception>
    ValueTask<RateLimitLease> AcquireAsync(RateLimitAlgorithm algorithm, string key, int permits, TimeSpan maxWait, CancellationToken cancellationToken);

    /// <summary>Gets what happened so far in this process, by algorithm.</summary>
    IReadOnlyDictionary<RateLimitAlgorithm, RateLimitLedger> GetLedgers();

    /// <summary>Gets whether decisions are exact now.</summary>
    LimiterState State { get; }
}

/// <summary>The algorithms.</summary>
public enum RateLimitAlgorithm
{
    /// <summary>Permits earned evenly, up to a burst. The one to start with.</summary>
    Gcra,

    /// <summary>Permits earned all at once each period, up to a burst.</summary>
    TokenBucket,

    /// <summary>Two windows, the last one weighted: cheap, approximate.</summary>
    WindowCounter,

    /// <summary>The time of each permit: exact, memory a permit.</summary>
    WindowLog,

    /// <summary>Permits held at the same time.</summary>
    Concurrency,

    /// <summary>One after the other at a fixed distance.</summary>
    Pacer,
}

/// <summary>What a limit says of itself, as the header RateLimit-Policy has it.</summary>
/// <param name="Quota">Permits a window, or held at the same time.</param>
/// <param name="Window">The time in which <paramref name="Quota"/> is earned; nothing for concurrency.</param>
/// <param name="Burst">The most permits at once.</param>
public sealed record RateLimitPolicy(int Quota, TimeSpan? Window, int Burst);

/// <summary>A variant does not have the algorithm.</summary>
public sealed class UnknownAlgorithmException(RateLimitAlgorithm algorithm, IReadOnlyList<RateLimitAlgorithm> known, string hint)
    : Exception($"There is no algorithm '{algorithm.ToName()}' here. There are: {string.Join(", ", known.Select(one => one.ToName()))}. {hint}".TrimEnd())
{
    /// <summary>Gets what was asked for.</summary>
    public RateLimitAlgorithm Algorithm => algorithm;

    /// <summary>Gets what there is.</summary>
    public IReadOnlyList<RateLimitAlgorithm> Known => known;
}
