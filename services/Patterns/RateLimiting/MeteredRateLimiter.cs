using System.Threading.RateLimiting;

namespace DistributedPatterns.RateLimiting;

/// <summary>Admits no more than a limit allows, and says exactly when to come back: what the limiters of both variants keep.</summary>
/// <remarks>
/// <list type="bullet">
/// <item>In any time t, judged by the limiter's own clock, at most burst + rate × t permits are admitted (<see cref="Burst"/>
/// of the limiter; approximately for window counters, which say how far).</item>
/// <item>A request for more than the burst is never admitted and never queued: <see cref="DenialReason.NeverPossible"/>.</item>
/// <item>A denial costs nothing. Where time alone helps it carries <see cref="MetadataName.RetryAfter"/>: who waits that long
/// is admitted, unless another was meanwhile.</item>
/// <item>Those who wait in one process are served in the order of arrival, and nobody overtakes them. One who gives up costs
/// the others nothing.</item>
/// <item>Ledger: requests = admitted + denied + never + cancelled + waiting.</item>
/// </list>
/// All members may be called at the same time. A request for 0 permits asks whether one is there and takes none.
/// </remarks>
public abstract class MeteredRateLimiter : RateLimiter
{
    private LedgerCounters? _counters;

    /// <summary>Gets the most permits that can be had at once.</summary>
    public abstract int Burst { get; }

    /// <summary>Gets what the limiter answers by: what it should, or less because Redis is away.</summary>
    public virtual LimiterState State => LimiterState.Exact;

    /// <summary>Gets how many permits are waited for in this process.</summary>
    private protected abstract long Waiting { get; }

    /// <summary>Gets how many permits could be had now, as far as this process knows.</summary>
    private protected abstract long Available { get; }

    /// <summary>Decides without waiting for permits; across processes it still waits for the server's answer.</summary>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="permitCount"/> is negative.</exception>
    /// <exception cref="ObjectDisposedException">The limiter is disposed.</exception>
    public ValueTask<RateLimitLease> TryAcquireAsync(int permitCount = 1, CancellationToken cancellationToken = default)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(permitCount);
        return TryAcquireAsyncCore(permitCount, cancellationToken);
    }

    /// <summary>Gets what became of all requests so far. Exact when none is under way.</summary>
    public RateLimitLedger GetLedger() => Counters.Read();

    /// <inheritdoc/>
    public override RateLimiterStatistics GetStatistics()
    {
        var ledger = GetLedger();
        return new RateLimiterStatistics
        {
            CurrentAvailablePermits = Available,
            CurrentQueuedCount = Waiting,
            TotalSuccessfulLeases = ledger.Admitted,
            TotalFailedLeases = ledger.Denied + ledger.Never,
        };
    }

    /// <summary>Gets how long one who comes now would wait, uncounted; nothing where that is not known.</summary>
    internal virtual ValueTask<TimeSpan?> RetryAfterAsync(int permits, CancellationToken cancellationToken) => default;

    private protected abstract ValueTask<RateLimitLease> TryAcquireAsyncCore(int permitCount, CancellationToken cancellationToken);

    /// <summary>Gets where requests are counted: in counters of its own unless <see cref="CountInto"/> named others before.</summary>
    private protected LedgerCounters Counters => _counters ?? Interlocked.CompareExchange(ref _counters, new LedgerCounters(), null) ?? _counters;

    /// <summary>Counts this limiter's requests with those of others; call it before the first request.</summary>
    internal void CountInto(LedgerCounters shared) => _counters = shared;
}

/// <summary>What became of a limiter's requests.</summary>
/// <param name="Admitted">Got a lease.</param>
/// <param name="Denied">Could have been admitted at another time.</param>
/// <param name="Never">Asked for more than can ever be had at once.</param>
/// <param name="Cancelled">Gave up waiting.</param>
/// <param name="Degraded">Of all these, decided while Redis was away.</param>
public readonly record struct RateLimitLedger(long Admitted, long Denied, long Never, long Cancelled, long Degraded)
{
    /// <summary>Gets all requests that have ended.</summary>
    public long Requests => Admitted + Denied + Never + Cancelled;

    /// <summary>Adds two limiters' ledgers.</summary>
    public static RateLimitLedger operator +(RateLimitLedger left, RateLimitLedger right) => new(
        left.Admitted + right.Admitted, left.Denied + right.Denied, left.Never + right.Never,
        left.Cancelled + right.Cancelled, left.Degraded + right.Degraded);

    /// <summary>Adds two limiters' ledgers.</summary>
    public static RateLimitLedger Add(RateLimitLedger left, RateLimitLedger right) => left + right;
}

/// <summary>What a limiter's answers rest on.</summary>
public enum LimiterState
{
    /// <summary>The whole truth about the limit.</summary>
    Exact,

    /// <summary>Redis is away: the limiter follows its <see cref="OutagePolicy"/>.</summary>
    Degraded,
}
