using DistributedPatterns.Tests.Support;
using Microsoft.Extensions.DependencyInjection;

namespace DistributedPatterns.Benchmarks.Harness;

/// <summary>Services that several contenders of a table use: started by the first, ended by the last.</summary>
internal sealed class SharedServices(RedisKind kind, Action<IServiceCollection>? configure = null, params (string Role, int Count)[] replicas)
{
    private Task<Services>? _running;
    private int _users;

    public Task<Services> StartAsync()
    {
        _users++;
        return _running ??= Services.StartAsync(kind, configure, replicas);
    }

    public async ValueTask StopAsync()
    {
        if (_users == 0 || --_users > 0 || _running is null) return;
        await using var services = await _running;
        _running = null;
    }
}
