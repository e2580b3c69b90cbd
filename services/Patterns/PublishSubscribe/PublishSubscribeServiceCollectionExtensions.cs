using DistributedPatterns.Payloads;
using DistributedPatterns.PublishSubscribe;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using StackExchange.Redis;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Registers topics by their names.</summary>
public static class PublishSubscribeServiceCollectionExtensions
{
    /// <summary>Registers an <see cref="ITopic{T}"/> inside the process, under <see cref="TopicKey.Channel"/>. Settings: <c>Patterns:PublishSubscribe:{name}</c>.</summary>
    public static IServiceCollection AddChannelTopic<T>(this IServiceCollection services, string name, Action<ChannelTopicOptions>? configure = null)
    {
        services.AddTopicOptions(name, configure);
        return services.AddKeyedSingleton<ITopic<T>>(TopicKey.Channel(name), (provider, _) => new ChannelTopic<T>(
            name, provider.GetRequiredService<IOptionsMonitor<ChannelTopicOptions>>().Get(name), provider.GetRequiredService<TimeProvider>()));
    }

    /// <summary>Registers an <see cref="ITopic{T}"/> across processes that keeps a log, under <see cref="TopicKey.Retained"/>. Settings: <c>Patterns:PublishSubscribe:{name}</c>.</summary>
    /// <param name="services">Needs an <see cref="IConnectionMultiplexer"/>.</param>
    /// <param name="name">The topic's name, the same in every process that uses it.</param>
    /// <param name="codec">How messages are written.</param>
    /// <param name="configure">Sets what is not in the settings.</param>
    public static IServiceCollection AddRedisRetainedTopic<T>(
        this IServiceCollection services, string name, IPayloadCodec<T> codec, Action<RedisRetainedTopicOptions>? configure = null)
    {
        services.AddTopicOptions(name, configure)
            .Validate(static options => options.RememberPublishersFor > options.RetryFor,
                $"Patterns:PublishSubscribe:{name}: RememberPublishersFor must be longer than RetryFor, or a late retry publishes twice.");
        return services.AddKeyedSingleton<ITopic<T>>(TopicKey.Retained(name), (provider, _) => new RedisRetainedTopic<T>(
            provider.GetRequiredService<IConnectionMultiplexer>(), name, codec, provider.GetRequiredService<IOptionsMonitor<RedisRetainedTopicOptions>>().Get(name),
            provider.GetRequiredService<TimeProvider>(), provider.GetRequiredService<ILogger<RedisRetainedTopic<T>>>()));
    }

    /// <summary>Registers an <see cref="ITopic{T}"/> across processes that keeps nothing, under <see cref="TopicKey.Ephemeral"/>. Settings: <c>Patterns:PublishSubscribe:{name}</c>.</summary>
    /// <inheritdoc cref="AddRedisRetainedTopic{T}" path="/param"/>
    public static IServiceCollection AddRedisEphemeralTopic<T>(
        this IServiceCollection services, string name, IPayloadCodec<T> codec, Action<RedisTopicOptions>? configure = null)
    {
        services.AddTopicOptions(name, configure);
        return services.AddKeyedSingleton<ITopic<T>>(TopicKey.Ephemeral(name), (provider, _) => new RedisEphemeralTopic<T>(
            provider.GetRequiredService<IConnectionMultiplexer>(), name, codec, provider.GetRequiredService<IOptionsMonitor<RedisTopicOptions>>().Get(name),
            provider.GetRequiredService<TimeProvider>()));
    }

    private static OptionsBuilder<TOptions> AddTopicOptions<TOptions>(this IServiceCollection services, string name, Action<TOptions>? configure) where TOptions : TopicOptions
    {
        services.TryAddSingleton(TimeProvider.System);
        var options = services.AddOptions<TOptions>(name).BindConfiguration($"Patterns:PublishSubscribe:{name}").ValidateDataAnnotations().ValidateOnStart();
        return configure is null ? options : options.Configure(configure);
    }
}
