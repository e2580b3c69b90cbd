using System.Data.Common;
using DistributedPatterns.Diagnostics;
using DistributedPatterns.Members;
using DistributedPatterns.ResourcePooling;
using DistributedPatterns.ResourcePooling.Work;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using StackExchange.Redis;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Registers pools by their names, and the scenario that uses them.</summary>
public static class ResourcePoolingServiceCollectionExtensions
{
    private const string Database = "database";
    private const string Channels = "worker-channels";
    private const string Worker = "worker";

    /// <summary>Registers an <see cref="IResourcePool{T}"/> of this process, under <see cref="ResourcePoolKey.Channel"/>. Settings: <c>Patterns:ResourcePooling:{name}</c>.</summary>
    /// <param name="services">Where to.</param>
    /// <param name="name">What the pool is called.</param>
    /// <param name="factory">Makes what opens and closes the resources.</param>
    /// <param name="configure">Sets what the settings do not.</param>
    public static IServiceCollection AddChannelResourcePool<T>(
        this IServiceCollection services, string name, Func<IServiceProvider, IResourceFactory<T>> factory, Action<ResourcePoolOptions>? configure = null) where T : class
    {
        AddOptions(services, name, configure);
        return services.AddKeyedSingleton<IResourcePool<T>>(ResourcePoolKey.Channel(name), (provider, _) => new ChannelResourcePool<T>(
            name, factory(provider), provider.GetRequiredService<IOptionsMonitor<ResourcePoolOptions>>().Get(name),
            provider.GetRequiredService<TimeProvider>(), provider.GetRequiredService<ILogger<ChannelResourcePool<T>>>()));
    }

    /// <summary>Registers an <see cref="IResourcePool{T}"/> over all processes, under <see cref="ResourcePoolKey.Distributed"/>. Settings: <c>Patterns:ResourcePooling:{name}</c>.</summary>
    /// <remarks>Needs an <see cref="IConnectionMultiplexer"/>.</remarks>
    public static IServiceCollection AddRedisPermitPool<T>(
        this IServiceCollection services, string name, Func<IServiceProvider, IResourceFactory<T>> factory, Action<RedisPermitPoolOptions>? configure = null) where T : class
    {
        AddOptions(services, name, configure);
        return services.AddKeyedSingleton<IResourcePool<T>>(ResourcePoolKey.Distributed(name), (provider, _) => new RedisPermitPool<T>(
            provider.GetRequiredService<IConnectionMultiplexer>(), name, factory(provider), provider.GetRequiredService<IOptionsMonitor<RedisPermitPoolOptions>>().Get(name),
            provider.GetRequiredService<TimeProvider>(), provider.GetRequiredService<ILogger<RedisPermitPool<T>>>()));
    }

    /// <summary>Registers the scenario inside this process, under <see cref="Variants.Channel"/>: a pool of database connections of its own.</summary>
    public static IServiceCollection AddLocalPooledWork(this IServiceCollection services, Action<ResourcePoolOptions>? configure = null)
    {
        AddDatabase(services);
        // Tokens of a pool in one process begin anew with it, so what they are compared in must too.
        services.AddKeyedSingleton(Variants.Channel, (provider, _) => new DatabaseConnections(provider.GetRequiredService<IOptions<DatabaseOptions>>(), $"{Database}-{Guid.NewGuid():N}"));
        services.AddChannelResourcePool<DbConnection>(Database, provider => provider.GetRequiredKeyedService<DatabaseConnections>(Variants.Channel), options =>
        {
            options.LeakLimit ??= TimeSpan.FromSeconds(10);
            configure?.Invoke(options);
        });
        return services.AddKeyedSingleton<IPooledWork>(Variants.Channel, (provider, _) => CreateWork(provider, Variants.Channel));
    }

    /// <summary>Registers the scenario over the workers, under <see cref="Variants.Distributed"/>. Needs members.</summary>
    public static IServiceCollection AddGrpcPooledWork(this IServiceCollection services) => services
        .AddChannelResourcePool<MemberConnection>(
            Channels, provider => new MemberConnections(provider.GetRequiredService<IMembers>(), provider.GetRequiredService<IMemberChannels>(), Worker), options => options.Capacity = 64)
        .AddKeyedSingleton<IPooledWork>(Variants.Distributed, (provider, _) => new GrpcPooledWork(
            provider.GetRequiredKeyedService<IResourcePool<MemberConnection>>(ResourcePoolKey.Channel(Channels)),
            provider.GetRequiredService<IMembers>(), provider.GetRequiredService<IMemberChannels>(), Worker, provider.GetRequiredService<TimeProvider>()));

    /// <summary>Lets this process use database connections for others, under permits that all such processes share. <see cref="MapPooledWork"/> maps its service.</summary>
    public static IServiceCollection AddPooledWorker(this IServiceCollection services, Action<RedisPermitPoolOptions>? configure = null)
    {
        AddDatabase(services);
        services.AddGrpc();
        services.AddKeyedSingleton(Variants.Distributed, (provider, _) => new DatabaseConnections(
            provider.GetRequiredService<IOptions<DatabaseOptions>>(), provider.GetRequiredService<IOptionsMonitor<RedisPermitPoolOptions>>().Get(Database).KeyTag ?? Database));
        services.AddRedisPermitPool<DbConnection>(Database, provider => provider.GetRequiredKeyedService<DatabaseConnections>(Variants.Distributed), options =>
        {
            options.LeakLimit ??= TimeSpan.FromSeconds(10);
            configure?.Invoke(options);
        });
        services.TryAddSingleton(provider => CreateWork(provider, Variants.Distributed));
        services.TryAddSingleton(provider => new PooledWorkServer(provider.GetRequiredService<LocalPooledWork>()));
        return services;
    }

    /// <summary>Maps the gRPC service that uses connections for others.</summary>
    public static IEndpointRouteBuilder MapPooledWork(this IEndpointRouteBuilder endpoints)
    {
        endpoints.MapGrpcService<PooledWorkService>();
        return endpoints;
    }

    private static LocalPooledWork CreateWork(IServiceProvider provider, string variant) => new(
        provider.GetRequiredKeyedService<IResourcePool<DbConnection>>(ResourcePoolKey.Of(variant, Database)), provider.GetRequiredKeyedService<DatabaseConnections>(variant),
        provider.GetService<IOptions<MembersOptions>>()?.Value.Id is { Length: > 0 } id ? id : "local", provider.GetRequiredService<TimeProvider>());

    private static void AddDatabase(IServiceCollection services)
    {
        if (services.Any(service => service.ServiceType == typeof(Marker))) return;
        services.AddSingleton<Marker>().AddOptions<DatabaseOptions>()
            .Configure<IConfiguration>((options, configuration) =>
            {
                options.PostgreSql = configuration.GetConnectionString("pool-database");
                if (configuration["Data:Path"] is { Length: > 0 } data) options.SqliteFile = Path.Combine(data, Path.GetFileName(options.SqliteFile));
            })
            .BindConfiguration("Patterns:ResourcePooling:Storage").ValidateDataAnnotations().ValidateOnStart();
    }

    private static void AddOptions<TOptions>(IServiceCollection services, string name, Action<TOptions>? configure) where TOptions : ResourcePoolOptions
    {
        var section = $"Patterns:ResourcePooling:{name}";
        services.TryAddSingleton(TimeProvider.System);
        var options = services.AddOptions<TOptions>(name);
        if (configure is not null) options.Configure(configure); // the settings after it have the last word
        options.BindConfiguration(section).ValidateDataAnnotations()
            .Validate(options => options.MinIdle <= options.Capacity, $"{section}: MinIdle may not be more than Capacity.")
            .ValidateOnStart();
    }

    private sealed class Marker;
}
