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
        services.AddKeyedSingleton<IWorkQueue<T>>(WorkQueueKey.Distributed(name), (provider, _) => new RedisWorkQueue<T>(
            provider.GetRequiredService<IConnectionMultiplexer>(), name, codec,
            provider.GetRequiredService<IOptionsMonitor<RedisWorkQueueOptions>>().Get(name),
            provider.GetRequiredService<TimeProvider>(), provider.GetRequiredService<ILogger<RedisWorkQueue<T>>>()));
        return Monitor<T>(services, WorkQueueKey.Distributed(name));
    }

    private static void AddOptions<TOptions>(IServiceCollection services, string name, Action<TOptions>? configure) where TOptions : WorkQueueOptions
    {
        var options = services.AddOptions<TOptions>(name)
            .BindConfiguration($"Patterns:ProducerConsumer:{name}").ValidateDataAnnotations().ValidateOnStart();
        if (configure is not null) options.Configure(configure);
        services.TryAddSingleton(TimeProvider.System);
    }

    private static IServiceCollection Monitor<T>(IServiceCollection services, string key) => services
        .AddSingleton(provider => (IMonitoredQueue)provider.GetRequiredKeyedService<IWorkQueue<T>>(key))
        .AddHostedService<WorkQueueMonitor>();
}
