using DistributedPatterns.Diagnostics;
using DistributedPatterns.EventLoop;
using DistributedPatterns.EventLoop.Engine;
using DistributedPatterns.Members;
using DistributedPatterns.Tests.Support;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using StackExchange.Redis;

namespace DistributedPatterns.Tests.EventLoop;

/// <summary>An onlooker that posts, and hosts that own partitions, each with a connection of its own, so that a handler's code can be a closure of the test.</summary>
internal sealed class LoopCluster : IAsyncDisposable
{
    private readonly List<(string Name, IHost Host, ConnectionMultiplexer Redis)> _hosts = [];
    private readonly IRedisServer _server;
    private readonly LoopHandler[] _handlers;
    private readonly Action<RedisEventLoopOptions> _configure;

    private LoopCluster(IRedisServer server, LoopHandler[] handlers, Action<RedisEventLoopOptions>? configure)
    {
        var tag = SharedRedis.NewTag();
        (_server, _handlers) = (server, handlers);
        _configure = options =>
        {
            (options.KeyTag, options.Partitions, options.PollEvery) = (tag, 4, TimeSpan.FromMilliseconds(50));
            configure?.Invoke(options);
        };
    }

    public IEventLoop Loop { get; private set; } = null!;

    /// <summary>Gets what the onlooker calls: with it a test plays an owner that freezes.</summary>
    public RedisLoopStore Store => _hosts[0].Host.Services.GetRequiredService<RedisLoopStore>();

    /// <summary>Gets the names of the processes that own partitions, in the order in which they came.</summary>
    public IReadOnlyList<string> Runners => [.. _hosts.Skip(1).Select(host => host.Name)];

    public static async Task<LoopCluster> StartAsync(IRedisServer server, int runners, LoopHandler[] handlers, Action<RedisEventLoopOptions>? configure = null)
    {
        var cluster = new LoopCluster(server, handlers, configure);
        cluster.Loop = (await cluster.AddAsync("onlooker", services => services.AddRedisEventLoop(cluster._configure))).Services.GetRequiredKeyedService<IEventLoop>(Variants.Distributed);
        for (var i = 0; i < runners; i++) await cluster.AddRunnerAsync($"runner-{i}");
        return cluster;
    }

    public Task AddRunnerAsync(string name) => AddAsync(name, services => services.AddRedisLoopRunner(_configure));

    /// <summary>Takes a process's connection away, without a word to anybody: to the others it is dead or frozen.</summary>
    public Task CutOffAsync(string name)
    {
        var found = Find(name);
        return found.Redis.CloseAsync(allowCommandsToComplete: false);
    }

    /// <summary>Stops a process as hosts do.</summary>
    public async Task StopAsync(string name)
    {
        var found = Find(name);
        _hosts.Remove(found);
        await found.Host.StopAsync(CancellationToken.None);
        found.Host.Dispose();
        await found.Redis.DisposeAsync();
    }

    public async Task<EventLoopStatus> UntilAsync(Func<EventLoopStatus, bool> condition)
    {
        EventLoopStatus? last = null;
        await Eventually.TrueAsync(
            async () => condition(last = await Loop.GetStatusAsync(TestContext.Current.CancellationToken)),
            TimeSpan.FromSeconds(60), () => $"{last?.Ledger} {last?.Counters}\n{string.Join('\n', last?.Partitions ?? [])}");
        return last!;
    }

    public Task<EventLoopStatus> AllHandledAsync() => UntilAsync(status => status.Ledger.Waiting == 0);

    public async ValueTask DisposeAsync()
    {
        foreach (var name in _hosts.Select(host => host.Name).Reverse().ToArray()) await StopAsync(name);
    }

    // An owner's name is that of its process and an ending of its own.
    private (string Name, IHost Host, ConnectionMultiplexer Redis) Find(string owner) => _hosts.Single(host => owner == host.Name || owner.StartsWith(host.Name + "-", StringComparison.Ordinal));

    private async Task<IHost> AddAsync(string name, Action<IServiceCollection> add)
    {
        var redis = await _server.ConnectAsync();
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Services.AddSingleton<IConnectionMultiplexer>(redis).AddLogging();
        builder.Services.Configure<MembersOptions>(options => (options.Id, options.Role) = (name, "tests"));
        foreach (var handler in _handlers) builder.Services.AddLoopHandler(handler);
        add(builder.Services);
        var host = builder.Build();
        _hosts.Add((name, host, redis));
        await host.StartAsync(TestContext.Current.CancellationToken);
        return host;
    }
}
