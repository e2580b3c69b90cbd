using System.Globalization;
using System.Text.Json.Serialization;

namespace DistributedPatterns.ResourcePooling;

/// <summary>A pool at one moment.</summary>
/// <param name="Permits">Over all processes; <see langword="null"/> where the pool is one process's own.</param>
/// <param name="Leaks">Loans that are out for longer than <see cref="ResourcePoolOptions.LeakLimit"/>.</param>
public sealed record PoolStats(string Name, PoolCounts Counts, PoolLedger Ledger, PoolCounters Counters, PermitStats? Permits, IReadOnlyList<LeakReport> Leaks);

/// <summary>What the places of a pool are used for.</summary>
/// <param name="Capacity">How many there are in this process.</param>
/// <param name="Active">Lent.</param>
/// <param name="Idle">Open and free.</param>
/// <param name="Opening">Being opened, checked, reset or closed; across processes also waiting for a permit.</param>
/// <param name="Waiting">Callers in line for a place.</param>
public readonly record struct PoolCounts(int Capacity, int Active, int Idle, int Opening, int Waiting)
{
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"capacity {Capacity}, active {Active}, idle {Idle}, opening {Opening}, waiting {Waiting}");
}

/// <summary>What has become of loans and resources: <c>Acquired = Returned + Active</c> and <c>Opened = Open + Closed</c> at every moment.</summary>
public sealed record PoolLedger(long Acquired, long Returned, long Active, long Opened, long Open, long Closed);

/// <summary>What a pool counts besides.</summary>
/// <param name="Exhausted">Waits whose limit ran out, and callers turned away because too many waited.</param>
/// <param name="Cancelled">Callers that left before they had a resource.</param>
/// <param name="OpenFailed">Resources that could not be opened.</param>
/// <param name="StaleReturns">Loans that were given back again.</param>
/// <param name="LeaksReported">Loans that were found to be out for too long, also those that came back later.</param>
/// <param name="ClosedBecause">Why resources were closed.</param>
public sealed record PoolCounters(
    long Exhausted, long Cancelled, long OpenFailed, long StaleReturns, long LeaksReported, IReadOnlyDictionary<CloseReason, long> ClosedBecause);

/// <summary>Why a resource was closed.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<CloseReason>))]
public enum CloseReason
{
    /// <summary>It lay idle for too long.</summary>
    Idle,

    /// <summary>It was too old.</summary>
    Expired,

    /// <summary>Its user said so, or it could not be reset.</summary>
    Broken,

    /// <summary>It did not pass the check before it was lent.</summary>
    Unusable,

    /// <summary>The pool was cleared.</summary>
    Cleared,

    /// <summary>Another process had waited for longer.</summary>
    HandedOn,

    /// <summary>Its permit's lease was over.</summary>
    Lost,

    /// <summary>The pool was closed.</summary>
    Stopped,
}

/// <summary>The permits over all processes, read in one step: <c>Granted = Held + Released + Expired</c>.</summary>
/// <param name="Expired">Permits of processes that died or froze.</param>
public sealed record PermitStats(int Limit, int Held, int Waiting, int Processes, long Granted, long Released, long Expired, long Fenced, long Generation);

/// <summary>A loan that has been out for too long.</summary>
/// <param name="HeldFor">At least so long.</param>
/// <param name="Stack">Where it was acquired.</param>
/// <param name="TraceId">The trace in which it was acquired, if there was one.</param>
public sealed record LeakReport(int Number, TimeSpan HeldFor, string Stack, string? TraceId);
