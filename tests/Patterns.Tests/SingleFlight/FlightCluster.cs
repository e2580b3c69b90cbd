using DistributedPatterns.Diagnostics;
using DistributedPatterns.SingleFlight;
using DistributedPatterns.SingleFlight.Engine;
using DistributedPatterns.Tests.Support;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using StackExchange.Redis;

namespace DistributedPatterns.Tests.SingleFlight;

/// <summary>Several of what a process has, each with a connection of its own, so that a work's code can be a closure of the test.</summary>
internal sealed class FlightCluster : IAsyncDisposable
{
    private readonly List<(ServiceProvider Services, ConnectionMultiplexer Redis)> _processes = [];
    private readonly RedisSingleFlightOptions _options;
    private readonly ConnectionMultiplexer _onlooker;

    private FlightCluster(RedisSingleFlightOptions options, ConnectionMultiplexer onlooker) => (_options, _onlooker) = (options, onlooker);

    public IReadOnlyList<ISingleFlight> Flights => [.. _processes.Select(process => process.Services.GetRequiredKeyedService<ISingleFlight>(Variants.Distributed))];

    public FlightHost Host => new(Flights, time => Task.Delay(time + TimeSpan.FromMilliseconds(50), TimeProvider.System), DisposeAsync);

    public string KeyTag => _options.KeyTag;

    public IDatabase Database => _onlooker.GetDatabase();

    /// <summary>Gets the script as a process sees it that is none of these: with it a test plays one that freezes.</summary>
    public RedisFlightScript Script => new(_onlooker, _options, TimeProvider.System);

    public static async Task<FlightCluster> StartAsync(IRedisServer server, int processes, Action<RedisSingleFlightOptions>? configure, params FlightDefinition[] works)
    {
        var options = new RedisSingleFlightOptions { KeyTag = SharedRedis.NewTag() };
        configure?.Invoke(options);
        var cluster = new FlightCluster(options, await server.ConnectAsync());
        for (var i = 0; i < processes; i++)
        {
            var redis = await server.ConnectAsync();
            var services = new ServiceCollection().AddLogging().AddSingleton<IConfiguration>(new ConfigurationBuilder().Build()).AddSingleton<IConnectionMultiplexer>(redis);
            foreach (var work in works) services.AddSingleton(work);
            services.AddRedisSingleFlight(options =>
            {
                options.KeyTag = cluster.KeyTag;
                configure?.Invoke(options);
            });
            cluster._processes.Add((services.BuildServiceProvider(), redis));
            await cluster.Flights[i].ForgetAsync(works[0].Name, "warm up", TestContext.Current.CancellationToken); // the script is loaded by now
        }
        return cluster;
    }

    /// <summary>Takes a process's connection away, without a word to anybody.</summary>
    public Task CutOffAsync(int process) => _processes[process].Redis.CloseAsync(allowCommandsToComplete: false);

    /// <summary>Gets how many commands a process has sent.</summary>
    public long CommandsOf(int process) => _processes[process].Redis.GetCounters() is var counters ? counters.Interactive.OperationCount : 0;

    /// <summary>Waits until so many other processes wait for a flight's leader.</summary>
    public Task RegisteredAsync(string key, int waiters = 1)
    {
        var place = Script.PlaceOf("text", key);
        return Eventually.TrueAsync(
            async () => ((string?)await Database.StringGetAsync(place.Keys[2]) ?? "").Split(' ', StringSplitOptions.RemoveEmptyEntries).Length == 2 * waiters,
            TimeSpan.FromSeconds(30), () => $"not {waiters} wait");
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var (services, redis) in _processes)
        {
            await services.DisposeAsync();
            await redis.DisposeAsync();
        }
        await _onlooker.DisposeAsync();
    }
}
