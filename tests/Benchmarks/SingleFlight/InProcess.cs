using System.Globalization;
using DistributedPatterns.Benchmarks.Harness;
using DistributedPatterns.Payloads;
using DistributedPatterns.SingleFlight;
using Microsoft.Extensions.Caching.Hybrid;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using ZiggyCreatures.Caching.Fusion;

namespace DistributedPatterns.Benchmarks.SingleFlight;

/// <summary>Bursts one after the other, each on a key of its own. A load ends when the whole burst has asked; more than one load a burst is an error.</summary>
internal abstract class Bursts(string name, int operations) : ThroughputContender(name, operations)
{
    public const int Callers = 64;

    private readonly Task<int>[] _calls = new Task<int>[Callers];
    private TaskCompletionSource _asked = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _loads;
    private int _burst;

    public override async Task<TimeSpan?> RunAsync(int operations)
    {
        _loads = 0;
        var bursts = operations / Callers;
        for (var i = 0; i < bursts; i++)
        {
            var key = (++_burst).ToString(CultureInfo.InvariantCulture);
            _asked = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            for (var caller = 0; caller < Callers; caller++) _calls[caller] = CallAsync(key);
            _asked.SetResult();
            foreach (var answer in await Task.WhenAll(_calls))
                if (answer != _burst) throw new InvalidOperationException($"{Name}: {answer} instead of {_burst}.");
        }
        if (_loads != bursts) throw new InvalidOperationException($"{Name}: {_loads} loads for {bursts} bursts.");
        return null;
    }

    protected abstract Task<int> CallAsync(string key);

    protected async Task<int> LoadAsync()
    {
        Interlocked.Increment(ref _loads);
        await _asked.Task;
        return _burst;
    }
}

/// <summary>The same result again and again.</summary>
internal abstract class Hits(string name, int operations) : ThroughputContender(name, operations)
{
    protected const string Key = "customer:4711";
    protected static readonly TimeSpan Ttl = TimeSpan.FromHours(1);

    public override async Task<string?> SetUpAsync()
    {
        await GetAsync();
        return null;
    }

    public override async Task<TimeSpan?> RunAsync(int operations)
    {
        var sum = 0L;
        for (var i = 0; i < operations; i++) sum += await GetAsync();
        if (sum != operations) throw new InvalidOperationException($"{Name}: {sum} instead of {operations}.");
        return null;
    }

    protected abstract ValueTask<int> GetAsync();
}

internal static class Flights
{
    public const string Work = "load";

    public static TaskSingleFlight Create(Func<int, FlightContext, ValueTask<int>> load) => new(
        new FlightCatalog([new FlightDefinition<int, int>(Work, PayloadCodec.Packed<int>(), load)]), Options.Create(new TaskSingleFlightOptions()), TimeProvider.System, NullLogger<TaskSingleFlight>.Instance);
}

internal sealed class OurBursts : Bursts
{
    private readonly TaskSingleFlight _flights;

    public OurBursts(string name, int operations) : base(name, operations) => _flights = Flights.Create((_, _) => new(LoadAsync()));

    public override ValueTask TearDownAsync() => _flights.DisposeAsync();

    protected override async Task<int> CallAsync(string key) => (await _flights.RunAsync<int, int>(Flights.Work, key, 0)).Value;
}

internal sealed class CompletionSourceBursts(string name, int operations) : Bursts(name, operations)
{
    private readonly Dictionary<string, Task<int>> _loading = new(StringComparer.Ordinal);

    protected override async Task<int> CallAsync(string key)
    {
        TaskCompletionSource<int>? mine = null;
        Task<int>? loading;
        lock (_loading)
        {
            if (!_loading.TryGetValue(key, out loading))
            {
                mine = new(TaskCreationOptions.RunContinuationsAsynchronously);
                _loading.Add(key, loading = mine.Task);
            }
        }
        if (mine is not null) _ = LoadAsync(key, mine);
        return await loading;
    }

    private async Task LoadAsync(string key, TaskCompletionSource<int> into)
    {
        var value = await LoadAsync();
        lock (_loading) _loading.Remove(key);
        into.SetResult(value);
    }
}

internal sealed class HybridBursts(string name, int operations) : Bursts(name, operations)
{
    // Nothing kept, as for the others: it is the flight that is measured.
    private static readonly HybridCacheEntryOptions s_options = new() { Flags = HybridCacheEntryFlags.DisableLocalCache | HybridCacheEntryFlags.DisableDistributedCache };

    private readonly ServiceProvider _services = new ServiceCollection().AddHybridCache().Services.BuildServiceProvider();

    public override ValueTask TearDownAsync() => _services.DisposeAsync();

    protected override Task<int> CallAsync(string key) => _services.GetRequiredService<HybridCache>().GetOrCreateAsync(key, _ => new ValueTask<int>(LoadAsync()), s_options).AsTask();
}

/// <summary>It lets callers through one after the other, so it has to keep the result for those who wait.</summary>
internal sealed class FusionBursts(string name, int operations) : Bursts(name, operations)
{
    private static readonly FusionCacheEntryOptions s_options = new(TimeSpan.FromSeconds(1));

    private readonly FusionCache _cache = new(new FusionCacheOptions());

    public override ValueTask TearDownAsync()
    {
        _cache.Dispose();
        return default;
    }

    protected override Task<int> CallAsync(string key) => _cache.GetOrSetAsync<int>(key, _ => LoadAsync(), s_options).AsTask();
}

internal sealed class OurHits(string name, int operations) : Hits(name, operations)
{
    private static readonly FlightCall s_call = new() { Ttl = Ttl };

    private readonly TaskSingleFlight _flights = Flights.Create(static (_, _) => new(1));

    public override ValueTask TearDownAsync() => _flights.DisposeAsync();

    protected override async ValueTask<int> GetAsync() => (await _flights.RunAsync<int, int>(Flights.Work, Key, 0, s_call)).Value;
}

internal sealed class HybridHits(string name, int operations) : Hits(name, operations)
{
    private static readonly HybridCacheEntryOptions s_options = new() { Expiration = Ttl, LocalCacheExpiration = Ttl };

    private readonly ServiceProvider _services = new ServiceCollection().AddHybridCache().Services.BuildServiceProvider();
    private HybridCache? _cache;

    public override ValueTask TearDownAsync() => _services.DisposeAsync();

    protected override ValueTask<int> GetAsync() => (_cache ??= _services.GetRequiredService<HybridCache>()).GetOrCreateAsync(Key, static _ => new ValueTask<int>(1), s_options);
}

internal sealed class FusionHits(string name, int operations) : Hits(name, operations)
{
    private static readonly FusionCacheEntryOptions s_options = new(Ttl);

    private readonly FusionCache _cache = new(new FusionCacheOptions());

    public override ValueTask TearDownAsync()
    {
        _cache.Dispose();
        return default;
    }

    protected override ValueTask<int> GetAsync() => _cache.GetOrSetAsync<int>(Key, static _ => Task.FromResult(1), s_options);
}
