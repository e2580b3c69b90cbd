using DistributedPatterns.Diagnostics;
using DistributedPatterns.Members;
using DistributedPatterns.Tests.Support;
using DistributedPatterns.WorkerPool;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using StackExchange.Redis;

namespace DistributedPatterns.Tests.WorkerPool;

/// <summary>A submitter and hosts with workers, each with a connection of its own, so that a job's code can be a closure of the test.</summary>
internal sealed class RedisPoolCluster : IAsyncDisposable
{
    private readonly List<(IHost Host, ConnectionMultiplexer Redis)> _hosts = [];
    private readonly IRedisServer _server;
    private readonly JobDefinition[] _definitions;
    private readonly Action<RedisWorkerPoolOptions> _configure;

    private RedisPoolCluster(IRedisServer server, JobDefinition[] definitions, Action<RedisWorkerPoolOptions>? configure)
    {
        var tag = KeyTag = SharedRedis.NewTag();
        (_server, _definitions) = (server, definitions);
        _configure = options =>
        {
            (options.KeyTag, options.ReportEvery, options.ShutdownLimit) = (tag, TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(1));
            configure?.Invoke(options);
        };
    }

    public string KeyTag { get; }

    public IWorkerPool Pool { get; private set; } = null!;

    public static async Task<RedisPoolCluster> StartAsync(
        IRedisServer server, int workers, Action<RedisWorkerPoolOptions>? configure, params JobDefinition[] definitions)
    {
        var cluster = new RedisPoolCluster(server, definitions, configure);
        cluster.Pool = (await cluster.AddAsync("submitter", services => services.AddRedisWorkerPool(cluster._configure)))
            .Services.GetRequiredKeyedService<IWorkerPool>(Variants.Distributed);
        for (var i = 0; i < workers; i++) await cluster.AddWorkerAsync($"worker-{i}");
        if (workers > 0)
        {
            await Eventually.TrueAsync(
                async () => (await cluster.Pool.GetSnapshotAsync(TestContext.Current.CancellationToken)).Workers.Count == workers,
                TimeSpan.FromSeconds(20), () => "not all workers have reported");
        }
        return cluster;
    }

    public Task<IHost> AddWorkerAsync(string name, Action<RedisWorkerPoolOptions>? configure = null) =>
        AddAsync(name, services => services.AddRedisWorkers(options =>
        {
            _configure(options);
            configure?.Invoke(options);
        }));

    /// <summary>Adds another process that submits.</summary>
    public async Task<IWorkerPool> AddSubmitterAsync() =>
        (await AddAsync("another", services => services.AddRedisWorkerPool(_configure))).Services.GetRequiredKeyedService<IWorkerPool>(Variants.Distributed);

    /// <summary>Takes a submitter's connection away, without a word to anybody.</summary>
    public async Task CutOffAsync(IWorkerPool submitter) =>
        await _hosts.Single(pair => pair.Host.Services.GetKeyedService<IWorkerPool>(Variants.Distributed) == submitter).Redis.CloseAsync(allowCommandsToComplete: false);

    public async ValueTask DisposeAsync()
    {
        foreach (var (host, redis) in Enumerable.Reverse(_hosts))
        {
            await host.StopAsync(CancellationToken.None);
            host.Dispose();
            await redis.DisposeAsync();
        }
    }

    private async Task<IHost> AddAsync(string name, Action<IServiceCollection> add)
    {
        var redis = await _server.ConnectAsync();
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Services.AddSingleton<IConnectionMultiplexer>(redis).AddLogging();
        builder.Services.Configure<MembersOptions>(options => (options.Id, options.Role) = (name, "tests"));
        foreach (var definition in _definitions) builder.Services.AddSingleton(definition);
        add(builder.Services);
        var host = builder.Build();
        _hosts.Add((host, redis));
        await host.StartAsync(TestContext.Current.CancellationToken);
        return host;
    }
}
