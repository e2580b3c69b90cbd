using System.Text.Json.Serialization;

namespace DistributedPatterns.ResourcePooling.Work;

/// <summary>The scenario of both variants: holds a database connection for a while, then counts the use under the connection's permit.</summary>
public interface IPooledWork
{
    /// <summary>Uses a connection.</summary>
    /// <param name="hold">How long it is held.</param>
    /// <param name="limit">How long all of it may take.</param>
    /// <exception cref="PoolExhaustedException">No connection came free in that time.</exception>
    /// <exception cref="UseTimeoutException">One came free, but too late to be held for so long.</exception>
    /// <exception cref="PermitFencedException">The permit was lost meanwhile, and the use was not counted.</exception>
    ValueTask<PooledUse> UseAsync(TimeSpan hold, TimeSpan limit, CancellationToken cancellationToken = default);

    /// <summary>Takes a connection and does not give it back for so long, as code does that forgets to dispose.</summary>
    ValueTask<PooledUse> LeakAsync(TimeSpan length, CancellationToken cancellationToken = default);

    /// <summary>Reads the pool of each process.</summary>
    ValueTask<IReadOnlyList<ProcessPool>> GetStatsAsync(CancellationToken cancellationToken = default);
}

/// <summary>One use of a connection.</summary>
/// <param name="Process">Where it was held.</param>
/// <param name="WaitedMs">How long it took to get it, opening included.</param>
public sealed record PooledUse(string Process, int Permit, long Token, double WaitedMs, double HeldMs);

/// <summary>A process's pool of connections.</summary>
/// <param name="Uses">How many uses the database has counted.</param>
/// <param name="Fenced">How many it refused to count, in this process.</param>
public sealed record ProcessPool(string Process, long Uses, long Fenced, PoolStats Pool);

/// <summary>A connection came free too late to be held as long as was asked for.</summary>
public sealed class UseTimeoutException(TimeSpan hold, TimeSpan limit, TimeSpan waited) : ResourcePoolException(
    $"A hold of {hold} does not fit into the limit of {limit}: {waited} went by until a connection was there.");

/// <summary>The database did not do what it was asked. A use may have been counted or not.</summary>
public sealed class DatabaseFailedException(Exception inner) : ResourcePoolException($"The database does not answer as it should: {inner.Message}", inner);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(PoolStats))]
internal sealed partial class PooledWorkJson : JsonSerializerContext;
