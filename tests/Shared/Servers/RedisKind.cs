namespace DistributedPatterns.Tests.Support;

/// <summary>The servers that the distributed variants are tested on.</summary>
public enum RedisKind
{
    /// <summary>A <c>redis-server</c> found on the PATH.</summary>
    Redis,

    /// <summary>The embedded server of this system.</summary>
    Garnet,

    /// <summary>The same without <c>--lua-transaction-mode</c>: what clients must refuse.</summary>
    GarnetWithoutTransactionMode,
}
