using System.Globalization;
using DistributedPatterns.Members;
using DistributedPatterns.Tests.Support;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using StackExchange.Redis;

namespace DistributedPatterns.Benchmarks.Harness;

/// <summary>A Redis server and services in processes of their own, as the system runs them; this program itself only looks on.</summary>
/// <remarks>A service is this same program, started with <c>--serve role</c>; <see cref="Roles"/> says what each role adds.</remarks>
internal sealed class Services : IAsyncDisposable
{
    public const string Serve = "--serve";

    private static readonly TimeSpan s_joinLimit = TimeSpan.FromSeconds(30);
    private readonly List<WatchedProcess> _processes = [];
    private readonly IHost _onlooker;

    private Services(RedisBackend redis, ConnectionMultiplexer connection, Action<IServiceCollection>? configure)
    {
        (Redis, Connection) = (redis, connection);
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Services.AddSingleton<IConnectionMultiplexer>(connection).AddLogging().AddMembers(options => (options.Role, options.Announce) = ("benchmarks", false));
        configure?.Invoke(builder.Services);
        _onlooker = builder.Build();
    }

    public RedisBackend Redis { get; }

    public ConnectionMultiplexer Connection { get; }

    /// <summary>Gets the services of this process, members and their channels among them.</summary>
    public IServiceProvider Here => _onlooker.Services;

    /// <summary>Starts everything and waits until all services have joined.</summary>
    /// <param name="configure">Adds what this process needs.</param>
    /// <param name="replicas">How many processes of each role.</param>
    public static async Task<Services> StartAsync(
        RedisKind kind, Action<IServiceCollection>? configure = null, params (string Role, int Count)[] replicas)
    {
        var redis = await RedisBackend.StartAsync(kind);
        var services = new Services(redis, await redis.ConnectAsync(), configure);
        try
        {
            foreach (var (role, count) in replicas)
                for (var i = 0; i < count; i++) services._processes.Add(await LaunchAsync(role, i, redis));
            await services._onlooker.StartAsync();
            await services.WhenJoinedAsync(replicas);
            return services;
        }
        catch
        {
            await services.DisposeAsync();
            throw;
        }
    }

    /// <summary>Runs as a service until it is stopped.</summary>
    public static async Task<int> ServeAsync(string role)
    {
        var builder = WebApplication.CreateBuilder();
        builder.Logging.SetMinimumLevel(LogLevel.Warning);
        builder.AddServiceDefaults();
        builder.AddRedisClient("redis");
        builder.Services.AddRedisAtomicityProbe().AddMembers();
        var (add, map) = Roles.All[role];
        add(builder.Services);
        var app = builder.Build();
        app.MapDefaultEndpoints();
        map(app);
        await app.RunAsync();
        return 0;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var process in _processes) await process.DisposeAsync();
        await _onlooker.StopAsync(CancellationToken.None);
        _onlooker.Dispose();
        await Connection.DisposeAsync();
        await Redis.DisposeAsync();
    }

    private static Task<WatchedProcess> LaunchAsync(string role, int number, RedisBackend redis) => WatchedProcess.StartAsync(
        [Environment.ProcessPath!, .. ThisProgram(), Serve, role],
        new Dictionary<string, string>
        {
            ["ConnectionStrings__redis"] = redis.ConnectionString,
            ["ASPNETCORE_URLS"] = "http://127.0.0.1:0",
            ["GRPC_PORT"] = "0",
            ["OTEL_SERVICE_NAME"] = role,
            ["OTEL_RESOURCE_ATTRIBUTES"] = $"service.instance.id={number.ToString(CultureInfo.InvariantCulture)}",
        });

    // Started by `dotnet run` this is an executable of its own; started as `dotnet Benchmarks.dll` it is not.
    private static string[] ThisProgram() =>
        Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet" ? [typeof(Services).Assembly.Location] : [];

    private async Task WhenJoinedAsync((string Role, int Count)[] replicas)
    {
        var members = Here.GetRequiredService<IMembers>();
        var since = TimeProvider.System.GetTimestamp();
        while (replicas.Any(wanted => members.Live(wanted.Role).Count < wanted.Count))
        {
            if (TimeProvider.System.GetElapsedTime(since) > s_joinLimit)
                throw new TimeoutException($"Not all services joined within {s_joinLimit}. They said:\n{string.Join("\n---\n", _processes.Select(process => process.Output))}");
            await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System);
        }
    }
}
