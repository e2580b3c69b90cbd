using DistributedPatterns.ResourcePooling.Engine;
using Microsoft.Extensions.Logging;
using StackExchange.Redis;

namespace DistributedPatterns.ResourcePooling;

/// <summary>The pool over all processes: each has its own resources, and a resource is open only under one of the permits in Redis.</summary>
/// <remarks>
/// A permit belongs to an open resource, not to a loan: while nobody waits, lending and giving back stay inside the process. Once somebody waits,
/// permits go to those in line in the order of their tickets, whatever process they are in. If the next one is in the process where a resource comes back he gets
/// that; if not, it is closed here and opened there. A process has at most <see cref="ResourcePoolOptions.Capacity"/> tickets in line; its other callers
/// wait in order behind those, so that a process with a thousand callers does not shut the others out.
/// <para>Idle resources of a process that does not know yet that somebody waits elsewhere may be lent meanwhile: until a doorbell, at the latest until its next renewal.</para>
/// <para>A process holds its permits under one lease. One that dies, freezes or is cut off loses them all when that is over, and others open theirs. Then
/// <see cref="PooledResource{T}.Lost"/> fires here; but a frozen process hears nothing, so what must not be written twice has to compare
/// <see cref="PooledResource{T}.Permit"/> where it is stored. No permit outlives a Redis that loses its data, and no token is given again.</para>
/// </remarks>
public sealed class RedisPermitPool<T> : IResourcePool<T> where T : class
{
    private readonly ChannelResourcePool<T> _local;
    private readonly RedisPermits<T> _permits;
    private readonly Lazy<Task> _closing;

    /// <param name="redis">Not disposed here.</param>
    /// <param name="name">What it is called in messages, metrics and, unless there is a tag, keys.</param>
    /// <param name="factory">Opens and closes. Not disposed here.</param>
    public RedisPermitPool(
        IConnectionMultiplexer redis, string name, IResourceFactory<T> factory, RedisPermitPoolOptions options, TimeProvider time, ILogger<RedisPermitPool<T>> logger)
    {
        ArgumentNullException.ThrowIfNull(redis);
        _permits = new RedisPermits<T>(redis, name, options, time, logger);
        _local = new ChannelResourcePool<T>(name, factory, options, time, logger, _permits);
        _permits.Pool = _local;
        _closing = new Lazy<Task>(CloseAsync);
    }

    /// <inheritdoc/>
    public string Name => _local.Name;

    /// <inheritdoc/>
    public ValueTask<PooledResource<T>> AcquireAsync(TimeSpan? limit = null, CancellationToken cancellationToken = default) => _local.AcquireAsync(limit, cancellationToken);

    /// <inheritdoc/>
    public ValueTask ClearAsync(CancellationToken cancellationToken = default) => _local.ClearAsync(cancellationToken);

    /// <inheritdoc/>
    public ValueTask<PoolStats> GetStatsAsync(CancellationToken cancellationToken = default) => _local.GetStatsAsync(cancellationToken);

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => new(_closing.Value);

    private async Task CloseAsync()
    {
        await _local.DisposeAsync().ConfigureAwait(false);
        await _permits.DisposeAsync().ConfigureAwait(false);
    }
}
