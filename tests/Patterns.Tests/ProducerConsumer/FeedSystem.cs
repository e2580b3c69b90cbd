using DistributedPatterns.Pipeline;
using DistributedPatterns.ProducerConsumer;
using DistributedPatterns.ProducerConsumer.Feeds;
using DistributedPatterns.Tests.Support;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging.Abstractions;
using StackExchange.Redis;

namespace DistributedPatterns.Tests.ProducerConsumer;

/// <summary>Queues and a tally, whose producers and consumers come when a test says so; over Redis each with a connection of its own.</summary>
internal sealed class FeedSystem : IAsyncDisposable
{
    private readonly string _variant;
    private readonly RedisBackend? _redis;
    private readonly KeyValuePair<string, string?>[] _settings;
    private readonly List<ServiceProvider> _processes = [];
    private readonly List<BackgroundService> _services = [];
    private readonly ServiceProvider _own;

    private FeedSystem(string variant, RedisBackend? redis, KeyValuePair<string, string?>[] settings, ServiceProvider own)
    {
        (_variant, _redis, _settings, _own) = (variant, redis, settings, own);
        _processes.Add(own);
    }

    public FeedRuns Runs => _own.GetRequiredKeyedService<FeedRuns>(_variant);

    public IWorkQueue<FeedRecord> Records => RecordsOf(_own);

    public IFeedTally Tally => _own.GetRequiredKeyedService<IFeedTally>(_variant);

    public static async Task<FeedSystem> StartAsync(string variant, RedisBackend? redis, params (string Name, string Value)[] settings)
    {
        KeyValuePair<string, string?>[] all =
        [
            new("Patterns:ProducerConsumer:feeds:KeyTag", SharedRedis.NewTag()),
            new("Patterns:ProducerConsumer:feed-records:KeyTag", SharedRedis.NewTag()),
            .. settings.Select(setting => new KeyValuePair<string, string?>(setting.Name, setting.Value)),
        ];
        return new FeedSystem(variant, redis, all, await ProcessAsync(redis, all));
    }

    public Task<BackgroundService> AddProducerAsync() => AddAsync(process => new FeedProducer(
        process.GetRequiredKeyedService<IWorkQueue<FeedOrder>>(WorkQueueKey.Of(_variant, FeedRuns.OrderQueue)), RecordsOf(process),
        process.GetRequiredKeyedService<IFeedTally>(_variant), process.GetRequiredService<PipelineInputs>(), TimeProvider.System, NullLogger<FeedProducer>.Instance));

    public Task<BackgroundService> AddConsumerAsync() => AddAsync(process => new FeedConsumer(
        RecordsOf(process), process.GetRequiredKeyedService<IFeedTally>(_variant), NullLogger<FeedConsumer>.Instance));

    public async ValueTask DisposeAsync()
    {
        await Task.WhenAll(_services.Select(service => service.StopAsync(CancellationToken.None)));
        foreach (var service in _services) service.Dispose();
        foreach (var process in _processes) await process.DisposeAsync();
    }

    private async Task<BackgroundService> AddAsync(Func<ServiceProvider, BackgroundService> create)
    {
        var process = _own;
        if (_redis is not null) _processes.Add(process = await ProcessAsync(_redis, _settings));
        var service = create(process);
        _services.Add(service);
        await service.StartAsync(TestContext.Current.CancellationToken);
        return service;
    }

    private IWorkQueue<FeedRecord> RecordsOf(ServiceProvider process) =>
        process.GetRequiredKeyedService<IWorkQueue<FeedRecord>>(WorkQueueKey.Of(_variant, FeedRuns.RecordQueue));

    private static async Task<ServiceProvider> ProcessAsync(RedisBackend? redis, KeyValuePair<string, string?>[] settings)
    {
        var services = new ServiceCollection()
            .AddLogging()
            .AddSingleton<IConfiguration>(new ConfigurationBuilder().AddInMemoryCollection(settings).Build())
            .AddPipelineInputs()
            .AddChannelFeeds()
            .AddRedisFeeds();
        if (redis is not null)
        {
            var connection = await redis.ConnectAsync();
            services.AddSingleton<IConnectionMultiplexer>(_ => connection);
        }
        return services.BuildServiceProvider();
    }
}
