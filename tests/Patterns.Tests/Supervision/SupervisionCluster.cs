using DistributedPatterns.Diagnostics;
using DistributedPatterns.Members;
using DistributedPatterns.Supervision;
using DistributedPatterns.Supervision.Engine;
using DistributedPatterns.Tests.Support;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using StackExchange.Redis;

namespace DistributedPatterns.Tests.Supervision;

/// <summary>An onlooker and hosts that run children, each with a connection of its own, so that a child's code can be a closure of the test.</summary>
internal sealed class SupervisionCluster : IAsyncDisposable
{
    private readonly List<(string Name, IHost Host, ConnectionMultiplexer Redis)> _hosts = [];
    private readonly IRedisServer _server;
    private readonly ChildDefinition[] _children;
    private readonly Action<RedisLeaseSupervisorOptions> _configure;

    private SupervisionCluster(IRedisServer server, ChildDefinition[] children, Action<RedisLeaseSupervisorOptions>? configure)
    {
        var tag = SharedRedis.NewTag();
        (_server, _children) = (server, children);
        _configure = options =>
        {
            (options.KeyTag, options.FirstPause, options.PollEvery) = (tag, TimeSpan.Zero, TimeSpan.FromMilliseconds(50));
            configure?.Invoke(options);
        };
    }

    public ISupervisor Supervisor { get; private set; } = null!;

    /// <summary>Gets the script as a process sees it that is none of the hosts: with it a test plays one that freezes.</summary>
    public RedisSupervisorScript Script => _hosts[0].Host.Services.GetRequiredService<RedisSupervisorScript>();

    public static async Task<SupervisionCluster> StartAsync(
        IRedisServer server, int runners, Action<RedisLeaseSupervisorOptions>? configure, params ChildDefinition[] children)
    {
        var cluster = new SupervisionCluster(server, children, configure);
        cluster.Supervisor = (await cluster.AddAsync("onlooker", services => services.AddRedisLeaseSupervisor(cluster._configure)))
            .Services.GetRequiredKeyedService<ISupervisor>(Variants.Distributed);
        for (var i = 0; i < runners; i++) await cluster.AddRunnerAsync($"runner-{i}");
        return cluster;
    }

    /// <summary>Gets whether an owner's process is one of these, and not one that has stopped.</summary>
    public bool Has(string? owner) => _hosts.Exists(host => IsOf(host.Name, owner));

    public Task AddRunnerAsync(string name) => AddAsync(name, services => services.AddRedisChildRunner(_configure));

    /// <summary>Takes a process's connection away, without a word to anybody.</summary>
    public Task CutOffAsync(string owner) => Find(owner).Redis.CloseAsync(allowCommandsToComplete: false);

    /// <summary>Stops a process as hosts do.</summary>
    public async Task StopAsync(string owner)
    {
        var found = Find(owner);
        _hosts.Remove(found);
        await found.Host.StopAsync(CancellationToken.None);
        found.Host.Dispose();
        await found.Redis.DisposeAsync();
    }

    /// <summary>Stops the processes with children; the supervisor can still be asked.</summary>
    public async Task StopRunnersAsync()
    {
        foreach (var (name, _, _) in _hosts.Skip(1).ToArray()) await StopAsync(name);
    }

    public async ValueTask DisposeAsync()
    {
        await StopRunnersAsync();
        await StopAsync("onlooker");
    }

    // An owner's name is that of its process and an ending of its own.
    private (string Name, IHost Host, ConnectionMultiplexer Redis) Find(string owner) => _hosts.Single(host => IsOf(host.Name, owner));

    private static bool IsOf(string name, string? owner) => owner == name || (owner?.StartsWith(name + "-", StringComparison.Ordinal) ?? false);

    private async Task<IHost> AddAsync(string name, Action<IServiceCollection> add)
    {
        var redis = await _server.ConnectAsync();
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Services.AddSingleton<IConnectionMultiplexer>(redis).AddLogging();
        builder.Services.Configure<MembersOptions>(options => (options.Id, options.Role) = (name, "tests"));
        foreach (var child in _children) builder.Services.AddSingleton(child);
        add(builder.Services);
        var host = builder.Build();
        _hosts.Add((name, host, redis));
        await host.StartAsync(TestContext.Current.CancellationToken);
        return host;
    }
}
