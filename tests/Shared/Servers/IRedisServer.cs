using StackExchange.Redis;

namespace DistributedPatterns.Tests.Support;

/// <summary>A Redis that tests connect to: one process or a cluster.</summary>
public interface IRedisServer
{
    /// <summary>Gets the connection string, as services take it.</summary>
    string ConnectionString { get; }

    /// <summary>Opens a connection of the caller's own; dispose it.</summary>
    Task<ConnectionMultiplexer> ConnectAsync();
}
