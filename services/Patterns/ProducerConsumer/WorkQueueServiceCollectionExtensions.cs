using DistributedPatterns.Payloads;
using DistributedPatterns.ProducerConsumer;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using StackExchange.Redis;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Registers work queues by their names.</summary>
public static class WorkQueueServiceCollectionExtensions
{
    /// <summary>Registers an <see cref="IWorkQueue{T}"/> across processes, under <see cref="WorkQueueKey.Distributed"/>. Settings: <c>Patterns:ProducerConsumer:{name}</c>.</summary>
    /// <param name="services">Needs an <see cref="IConnectionMultiplexer"/>.</param>
    /// <param name="name">The queue's name, the same in every process that uses it.</param>
    /// <param name="codec">How payloads are written.</param>
    /// <param name="configure">Sets what is not in the settings.</param>
    public static IServiceCollection AddRedisWorkQueue<T>(
        this IServiceCollection services, string name, IPayloadCodec<T> codec, Action<RedisWorkQueueOptions>? configure = null)
    {
        AddOptions(services, name, configure);
        return services.AddKeyedSingleton<IWorkQueue<T>>(WorkQueueKey.Distributed(name), (provider, _) => Follow(provider, new RedisWorkQueue<T>(
            provider.GetRequiredService<IConnectionMultiplexer>(), name, codec,
            provider.GetRequiredService<IOptionsMonitor<RedisWorkQueueOptions>>().Get(name),
            provider.GetRequiredService<TimeProvider>(), provider.GetRequiredService<ILogger<RedisWorkQueue<T>>>())));
    }

    /// <summary>Registers an <see cref="IWorkQueue{T}"/> inside the process, under <see cref="WorkQueueKey.Channel"/>. Settings: <c>Patterns:ProducerConsumer:{name}</c>.</summary>
    public static IServiceCollection AddChannelWorkQueue<T>(this IServiceCollection services, string name, Action<ChannelWorkQueueOptions>? configure = null)
    {
        AddOptions(services, name, configure);
        return services.AddKeyedSingleton<IWorkQueue<T>>(WorkQueueKey.Channel(name), (provider, _) => Follow(provider, new ChannelWorkQueue<T>(
            name, provider.GetRequiredService<IOptionsMonitor<ChannelWorkQueueOptions>>().Get(name),
            provider.GetRequiredService<TimeProvider>(), provider.GetRequiredService<ILogger<ChannelWorkQueue<T>>>())));
    }

    private static void AddOptions<TOptions>(IServiceCollection services, string name, Action<TOptions>? configure) where TOptions : WorkQueueOptions
    {
        var options = services.AddOptions<TOptions>(name)
            .BindConfiguration($"Patterns:ProducerConsumer:{name}").ValidateDataAnnotations().ValidateOnStart();
        if (configure is not null) options.Configure(configure);
        services.TryAddSingleton(TimeProvider.System);
        services.TryAddSingleton<WorkQueueMonitor>();
        if (services.All(service => service.ServiceType != typeof(Marker)))
            services.AddSingleton<Marker>().AddHostedService(provider => provider.GetRequiredService<WorkQueueMonitor>());
    }

    private static TQueue Follow<TQueue>(IServiceProvider provider, TQueue queue) where TQueue : IMonitoredQueue
    {
        provider.GetRequiredService<WorkQueueMonitor>().Follow(queue);
        return queue;
    }

    private sealed class Marker;
}
