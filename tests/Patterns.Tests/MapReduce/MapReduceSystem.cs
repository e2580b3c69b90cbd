using DistributedPatterns.Diagnostics;
using DistributedPatterns.MapReduce;
using DistributedPatterns.Tests.Support;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using StackExchange.Redis;

namespace DistributedPatterns.Tests.MapReduce;

/// <summary>Who asks for jobs, and over Redis those who do them, each with a connection of its own; they share a data folder of this system.</summary>
internal sealed class MapReduceSystem : IAsyncDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("map-reduce-");
    private readonly List<Process> _processes = [];
    private readonly IRedisServer? _redis;
    private readonly IMapReduceJob[] _jobs;
    private readonly string _tag;
    private readonly Action<RedisMapReduceOptions> _configure;

    private MapReduceSystem(IRedisServer? redis, IMapReduceJob[] jobs, string tag, Action<MapReduceOptions>? configure)
    {
        (_redis, _jobs, _tag) = (redis, jobs, tag);
        _configure = options =>
        {
            (options.KeyTag, options.BackupAfter) = (_tag, TimeSpan.FromSeconds(30));
            configure?.Invoke(options);
        };
    }

    public IMapReduce MapReduce { get; private set; } = null!;

    public string Data => _folder.FullName;

    public string KeyTag => _tag;

    /// <summary>Gets the files that jobs have at the moment.</summary>
    public IReadOnlyList<string> WorkFiles
    {
        get
        {
            try
            {
                return Directory.Exists(Work) ? [.. Directory.EnumerateFiles(Work, "*", SearchOption.AllDirectories).Select(file => Path.GetFileName(file))] : [];
            }
            catch (DirectoryNotFoundException)
            {
                return WorkFiles; // it was deleted under way
            }
        }
    }

    public string Work => Path.Combine(Data, "map-reduce");

    /// <summary>Starts the variant inside this process.</summary>
    public static async Task<MapReduceSystem> StartChannelAsync(Action<MapReduceOptions>? configure, params IMapReduceJob[] jobs)
    {
        var system = new MapReduceSystem(null, jobs, "", configure);
        await system.AddAsync(services => services.AddChannelMapReduce(options => configure?.Invoke(options)));
        system.MapReduce = system._processes[0].Host.Services.GetRequiredKeyedService<IMapReduce>(Variants.Channel);
        return system;
    }

    /// <summary>Starts one coordinator, two mappers and two reducers, unless told otherwise.</summary>
    public static async Task<MapReduceSystem> StartRedisAsync(
        IRedisServer redis, Action<MapReduceOptions>? configure, int coordinators = 1, int mappers = 2, int reducers = 2, string? tag = null, params IMapReduceJob[] jobs)
    {
        var system = new MapReduceSystem(redis, jobs, tag ?? SharedRedis.NewTag(), configure);
        var caller = await system.AddAsync(services => services.AddRedisMapReduce(system._configure));
        system.MapReduce = caller.Host.Services.GetRequiredKeyedService<IMapReduce>(Variants.Distributed);
        for (var i = 0; i < coordinators; i++) await system.AddCoordinatorAsync();
        for (var i = 0; i < mappers; i++) await system.AddMapperAsync();
        for (var i = 0; i < reducers; i++) await system.AddReducerAsync();
        return system;
    }

    public List<Process> Coordinators { get; } = [];

    public List<Process> Mappers { get; } = [];

    public async Task AddCoordinatorAsync() => Coordinators.Add(await AddAsync(services => services.AddMapReduceCoordinator(_configure)));

    public async Task AddMapperAsync() => Mappers.Add(await AddAsync(services => services.AddMapReduceMapper(_configure)));

    public Task<Process> AddReducerAsync() => AddAsync(services => services.AddMapReduceReducer(_configure));

    /// <summary>Writes a file below the data folder and returns its name as an input.</summary>
    public string Write(string name, string text)
    {
        var path = Path.Combine(Data, name);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllText(path, text);
        return name;
    }

    /// <summary>Runs a job to its end and returns that with the result, which is empty when there is none.</summary>
    public async Task<(MapReduceStatus End, string Result)> RunAsync(MapReduceRequest request)
    {
        var started = await MapReduce.StartAsync(request, TestContext.Current.CancellationToken);
        var end = await MapReduce.WaitAsync(started.Id, TestContext.Current.CancellationToken);
        return (end!, await ReadAsync(started.Id));
    }

    public async Task<string> ReadAsync(string id)
    {
        await using var result = await MapReduce.OpenResultAsync(id, TestContext.Current.CancellationToken);
        if (result is null) return "";
        using var reader = new StreamReader(result.Content);
        return await reader.ReadToEndAsync(TestContext.Current.CancellationToken);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var process in Enumerable.Reverse(_processes)) await process.StopAsync();
        _folder.Delete(recursive: true);
    }

    private async Task<Process> AddAsync(Action<IServiceCollection> add)
    {
        var redis = _redis is null ? null : await _redis.ConnectAsync();
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Configuration.AddInMemoryCollection([new("Data:Path", Data)]);
        if (redis is not null) builder.Services.AddSingleton<IConnectionMultiplexer>(_ => redis);
        builder.Services.AddLogging().AddMapReduceJobs();
        foreach (var job in _jobs) builder.Services.AddMapReduceJob(job);
        add(builder.Services);
        var process = new Process(builder.Build(), redis);
        _processes.Add(process);
        await process.Host.StartAsync(TestContext.Current.CancellationToken);
        return process;
    }

    internal sealed class Process(IHost host, ConnectionMultiplexer? redis)
    {
        private bool _isStopped;
        private bool _isCutOff;

        public IHost Host => host;

        /// <summary>Takes the connection away, without a word to anybody: for all others it is dead.</summary>
        public Task CutOffAsync()
        {
            _isCutOff = true;
            return redis!.CloseAsync(allowCommandsToComplete: false);
        }

        public async Task StopAsync()
        {
            if (_isStopped) return;
            _isStopped = true;
            try
            {
                await host.StopAsync(CancellationToken.None);
                if (host is IAsyncDisposable disposable) await disposable.DisposeAsync();
            }
            catch (ObjectDisposedException) when (_isCutOff)
            {
                // Without a connection nothing can be given back.
            }
            if (redis is not null) await redis.DisposeAsync();
        }
    }
}
