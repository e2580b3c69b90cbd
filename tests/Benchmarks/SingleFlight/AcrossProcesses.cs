using System.Collections.Concurrent;
using System.Globalization;
using System.Runtime.CompilerServices;
using DistributedPatterns.Benchmarks.Harness;
using DistributedPatterns.Payloads;
using DistributedPatterns.SingleFlight;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using StackExchange.Redis;

namespace DistributedPatterns.Benchmarks.SingleFlight;

/// <summary>Bursts of callers spread over what three processes have, each with a connection of its own. A load ends when all have asked; a second one for a key is an error.</summary>
internal abstract class RedisBursts(string name, int operations, SharedServices shared) : ThroughputContender(name, operations)
{
    public const int Processes = 3;
    public const int Callers = 64;
    public const int AtATime = 16;

    // A process that is late gets what is kept, so that a burst is one load for sure.
    protected static readonly TimeSpan Ttl = TimeSpan.FromSeconds(10);

    private readonly ConcurrentDictionary<string, (TaskCompletionSource Asked, StrongBox<int> Loads)> _bursts = new(StringComparer.Ordinal);
    private readonly List<ConnectionMultiplexer> _connections = [];
    private int _burst;

    public override async Task<string?> SetUpAsync()
    {
        var services = await shared.StartAsync();
        for (var i = 0; i < Processes; i++) _connections.Add(await services.Redis.ConnectAsync());
        Open(_connections);
        return null;
    }

    public override async ValueTask TearDownAsync()
    {
        foreach (var connection in _connections) await connection.DisposeAsync();
        await shared.StopAsync();
    }

    public override async Task<TimeSpan?> RunAsync(int operations)
    {
        await Task.WhenAll(Enumerable.Range(0, AtATime).Select(lane => Task.Run(async () =>
        {
            for (var i = lane; i < operations; i += AtATime) await BurstAsync();
        })));
        return null;
    }

    protected abstract void Open(IReadOnlyList<ConnectionMultiplexer> connections);

    protected abstract Task<int> CallAsync(int process, string key);

    protected async Task<int> LoadAsync(string key)
    {
        var (asked, loads) = _bursts[key];
        Interlocked.Increment(ref loads.Value);
        await asked.Task;
        return int.Parse(key.AsSpan(key.LastIndexOf(':') + 1), CultureInfo.InvariantCulture);
    }

    private async Task BurstAsync()
    {
        var number = Interlocked.Increment(ref _burst);
        var key = string.Create(CultureInfo.InvariantCulture, $"{Name}:{number}");
        var (asked, loads) = (new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously), new StrongBox<int>());
        _bursts[key] = (asked, loads);
        var calls = new Task<int>[Processes * Callers];
        for (var i = 0; i < calls.Length; i++) calls[i] = CallAsync(i % Processes, key);
        asked.SetResult();
        foreach (var answer in await Task.WhenAll(calls))
            if (answer != number) throw new InvalidOperationException($"{Name}: {answer} instead of {number}.");
        _bursts.TryRemove(key, out _);
        if (loads.Value != 1) throw new InvalidOperationException($"{Name}: {loads.Value} loads for one burst.");
    }
}

internal sealed class OurRedisBursts(string name, int operations, SharedServices shared) : RedisBursts(name, operations, shared)
{
    private static readonly FlightCall s_call = new() { Ttl = Ttl };

    private readonly List<RedisSingleFlight> _flights = [];

    public override async ValueTask TearDownAsync()
    {
        foreach (var flights in _flights) await flights.DisposeAsync();
        await base.TearDownAsync();
    }

    protected override void Open(IReadOnlyList<ConnectionMultiplexer> connections)
    {
        var works = new FlightCatalog([new FlightDefinition<string, int>(Flights.Work, PayloadCodec.Packed<int>(), (key, _) => new(LoadAsync(key)))]);
        foreach (var connection in connections)
            _flights.Add(new RedisSingleFlight(connection, works, Options.Create(new RedisSingleFlightOptions()), TimeProvider.System, NullLogger<RedisSingleFlight>.Instance));
    }

    protected override async Task<int> CallAsync(int process, string key) => (await _flights[process].RunAsync<string, int>(Flights.Work, key, key, s_call)).Value;
}

/// <summary>What is written most: take a lock, load, store; who did not get the lock looks again every ten milliseconds. In each process callers share a task.</summary>
internal sealed class NaiveBursts(string name, int operations, SharedServices shared) : RedisBursts(name, operations, shared)
{
    private static readonly TimeSpan s_poll = TimeSpan.FromMilliseconds(10);
    private static readonly TimeSpan s_lock = TimeSpan.FromSeconds(3);

    private readonly ConcurrentDictionary<(int, string), Lazy<Task<int>>> _loading = [];
    private readonly List<IDatabase> _databases = [];

    protected override void Open(IReadOnlyList<ConnectionMultiplexer> connections) => _databases.AddRange(connections.Select(connection => connection.GetDatabase()));

    protected override Task<int> CallAsync(int process, string key) => _loading.GetOrAdd((process, key), _ => new Lazy<Task<int>>(() => FetchAsync(process, key))).Value;

    private async Task<int> FetchAsync(int process, string key)
    {
        var database = _databases[process];
        while (true)
        {
            if (await database.StringGetAsync(key) is { HasValue: true } kept) break;
            if (await database.StringSetAsync($"{key}:lock", process, s_lock, When.NotExists))
            {
                await database.StringSetAsync(key, await LoadAsync(key), Ttl);
                break;
            }
            await Task.Delay(s_poll, TimeProvider.System);
        }
        _loading.TryRemove((process, key), out _);
        return (int)await database.StringGetAsync(key);
    }
}
