namespace DistributedPatterns.ResourcePooling;

/// <summary>Lends resources that are costly to open and limited in number: connections, channels, handles. Thread-safe.</summary>
/// <remarks>
/// What both variants keep:
/// <list type="bullet">
/// <item>A hard cap: never more resources are open than there may be, whatever fails or is cut off.</item>
/// <item>A resource is lent to one caller at a time. Giving it back twice, or using it afterwards, is refused and counted.</item>
/// <item>Who has to wait is served in the order of arrival. A wait has a limit, and says with its counts why it was in vain.</item>
/// <item>One that is broken, too old, of a generation before <see cref="ClearAsync"/>, or cannot be reset is closed, not lent again.</item>
/// <item>Each loan names a permit (<see cref="ResourcePermit"/>), with which a store can refuse one that is over.</item>
/// <item>Nothing is lost in silence: acquired = returned + active, opened = open + closed (<see cref="PoolLedger"/>) in every reading.</item>
/// </list>
/// <para><see cref="ChannelResourcePool{T}"/> caps one process and lends without a lock while nobody waits. <see cref="RedisPermitPool{T}"/> caps all
/// processes together: for that a resource needs a permit under a lease, and one whose lease is over may still be in use by a frozen process.</para>
/// </remarks>
public interface IResourcePool<T> : IAsyncDisposable where T : class
{
    string Name { get; }

    /// <summary>Lends a resource that was open or is opened for it. Dispose the loan to give it back.</summary>
    /// <param name="limit">How long to wait for one at most; <see cref="ResourcePoolOptions.AcquireLimit"/> unless given.</param>
    /// <exception cref="PoolExhaustedException">None came free in time, or too many wait already.</exception>
    /// <exception cref="ResourceOpenException">A resource could not be opened.</exception>
    /// <exception cref="ObjectDisposedException">The pool is closed.</exception>
    ValueTask<PooledResource<T>> AcquireAsync(TimeSpan? limit = null, CancellationToken cancellationToken = default);

    /// <summary>Replaces all resources without stopping: idle ones are closed at once, lent ones when they come back.</summary>
    ValueTask ClearAsync(CancellationToken cancellationToken = default);

    /// <summary>Reads what is lent, what is open, and what has become of everything so far.</summary>
    ValueTask<PoolStats> GetStatsAsync(CancellationToken cancellationToken = default);
}

/// <summary>Opens, checks, resets and closes what a pool lends. The pool never makes two calls for the same resource at a time.</summary>
public interface IResourceFactory<T> where T : class
{
    /// <param name="permit">What the resource is opened under.</param>
    /// <param name="cancellationToken">Cancelled when the caller leaves, or after <see cref="ResourcePoolOptions.OpenLimit"/>.</param>
    ValueTask<T> OpenAsync(ResourcePermit permit, CancellationToken cancellationToken);

    /// <summary>Returns whether one that lay idle for <see cref="ResourcePoolOptions.CheckAfter"/> can still be lent. Throwing means no.</summary>
    ValueTask<bool> CheckAsync(T resource, CancellationToken cancellationToken) => ValueTask.FromResult(true);

    /// <summary>Clears what its last user left behind. Throwing means that it cannot be used again.</summary>
    ValueTask ResetAsync(T resource, CancellationToken cancellationToken) => ValueTask.CompletedTask;

    ValueTask CloseAsync(T resource);
}

/// <summary>What a loan is held under.</summary>
/// <param name="Number">Which of the places it has: one loan at a time has a number.</param>
/// <param name="Token">Higher than those of all loans before with this number, except that loans of one open resource may share it.
/// A store that keeps the highest token for each number can refuse a holder that was replaced. Comparing over numbers says nothing.</param>
public readonly record struct ResourcePermit(int Number, long Token);
