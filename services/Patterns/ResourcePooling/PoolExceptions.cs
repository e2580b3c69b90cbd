using System.Globalization;

namespace DistributedPatterns.ResourcePooling;

/// <summary>The base of what a pool throws for reasons of its own.</summary>
public abstract class ResourcePoolException(string message, Exception? inner = null) : Exception(message, inner);

/// <summary>No resource came free in time, or too many wait already.</summary>
public sealed class PoolExhaustedException(string pool, TimeSpan limit, PoolCounts counts, string? hint = null) : ResourcePoolException(string.Create(CultureInfo.InvariantCulture,
    $"Pool '{pool}' is exhausted: nothing came free within {limit}; {counts}. {hint ?? DefaultHint}"))
{
    private const string DefaultHint = "Raise Capacity, hold resources for a shorter time, or look for a leak.";

    public string Pool { get; } = pool;

    public TimeSpan Limit { get; } = limit;

    /// <summary>Gets what the pool looked like when the wait was over, the one who gave up included.</summary>
    public PoolCounts Counts { get; } = counts;

    /// <summary>Gets what can be done about it.</summary>
    public string Hint { get; } = hint ?? DefaultHint;
}

/// <summary>A resource could not be opened. It takes no place in the pool.</summary>
public sealed class ResourceOpenException(string pool, string reason, Exception? inner = null) : ResourcePoolException($"Pool '{pool}' could not open a resource: {reason}", inner);

/// <summary>A loan was used after it was given back.</summary>
public sealed class ResourceReturnedException(string pool) : ResourcePoolException($"This loan of pool '{pool}' was given back. Acquire another one.");

/// <summary>A store refused a loan that is over: its permit was given to another holder.</summary>
public sealed class PermitFencedException(ResourcePermit permit, long current) : ResourcePoolException(
    $"Permit {permit.Number} under token {permit.Token} is over and may write no more; the store has seen token {current}.")
{
    public ResourcePermit Permit { get; } = permit;

    public long Current { get; } = current;
}
