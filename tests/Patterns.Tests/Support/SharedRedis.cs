using System.Collections.Concurrent;
using DistributedPatterns.Tests.Support;
using Xunit.v3;

[assembly: AssemblyFixture(typeof(SharedRedis))]

// A fault test waits most of its time, for leases to end and servers to come back: two at a time leave two cores idle.
[assembly: Parallelization(MaxThreads = 8)]

namespace DistributedPatterns.Tests.Support;

/// <summary>One server a kind for all test classes that leave it running; take a constructor parameter of this type.</summary>
/// <remarks>Use keys of your own (<see cref="NewTag"/>). A test that freezes or kills a server starts its own <see cref="RedisBackend"/>.</remarks>
public sealed class SharedRedis : IAsyncLifetime
{
    private MachineLock? _lock; // this module starts servers from its first test to its last

    private readonly ConcurrentDictionary<RedisKind, Lazy<Task<RedisBackend>>> _servers = new();

    /// <summary>Returns the running server of a kind, started by whoever asks first.</summary>
    public async Task<RedisBackend> OfAsync(RedisKind kind)
    {
        var server = _servers.GetOrAdd(kind, static wanted => new Lazy<Task<RedisBackend>>(() => RedisBackend.StartAsync(wanted)));
        try
        {
            return await server.Value;
        }
        catch
        {
            _servers.TryRemove(new(kind, server)); // the next one to ask tries again
            throw;
        }
    }

    /// <summary>Returns a hash tag that no other test has.</summary>
    public static string NewTag() => $"t{Guid.NewGuid():N}";

    public async ValueTask InitializeAsync() => _lock = await MachineLock.TakeAsync(TestContext.Current.CancellationToken);

    public async ValueTask DisposeAsync()
    {
        foreach (var server in _servers.Values.Where(server => server.Value.IsCompletedSuccessfully))
            await (await server.Value).DisposeAsync();
        if (_lock is not null) await _lock.DisposeAsync();
    }
}
