using DistributedPatterns.ResourcePooling.Engine;

namespace DistributedPatterns.ResourcePooling;

/// <summary>A resource on loan. Dispose it to give it back; copies are the same loan.</summary>
public readonly struct PooledResource<T> : IAsyncDisposable where T : class
{
    private readonly ChannelResourcePool<T> _pool;
    private readonly ResourceSlot<T> _slot;
    private readonly long _version;

    internal PooledResource(ChannelResourcePool<T> pool, ResourceSlot<T> slot, long version) => (_pool, _slot, _version) = (pool, slot, version);

    /// <exception cref="ResourceReturnedException">It was given back.</exception>
    public T Resource => _slot.Version == _version ? _slot.Resource! : throw new ResourceReturnedException(_pool.Name);

    /// <summary>Gets what the resource is held under. Pass it to stores that can refuse a holder that was replaced.</summary>
    /// <exception cref="ResourceReturnedException">It was given back.</exception>
    public ResourcePermit Permit => _slot.Version == _version ? _slot.PermitOf(_version) : throw new ResourceReturnedException(_pool.Name);

    /// <summary>Gets a token that is cancelled when the permit is lost: others may have a resource in its place from then on, so stop using this one.</summary>
    public CancellationToken Lost => _slot.Version == _version ? _slot.Permit?.Lost ?? CancellationToken.None : throw new ResourceReturnedException(_pool.Name);

    /// <summary>Lets the resource be closed when it comes back, because it is broken or in a state that nobody should get.</summary>
    public void MarkBroken()
    {
        if (_slot.Version == _version) _slot.Add(Doubts.Broken);
    }

    /// <summary>Gives the resource back. A second time does nothing, and is counted.</summary>
    public ValueTask DisposeAsync() => _pool.ReturnAsync(_slot, _version);
}
