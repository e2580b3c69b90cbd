using DistributedPatterns.Diagnostics;
using DistributedPatterns.EventLoop;
using DistributedPatterns.EventLoop.Engine;
using DistributedPatterns.Members;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Registers handlers of events, in every process alike, and the loops.</summary>
public static class EventLoopServiceCollectionExtensions
{
    /// <summary>Registers a handler for both variants.</summary>
    public static IServiceCollection AddLoopHandler(this IServiceCollection services, LoopHandler handler)
    {
        services.TryAddSingleton<LoopHandlerCatalog>();
        return services.AddSingleton(handler);
    }

    /// <summary>Registers <see cref="IEventLoop"/> inside the process, under <see cref="Variants.Channel"/>. Settings: <c>Patterns:EventLoop:Channel</c>.</summary>
    public static IServiceCollection AddChannelEventLoop(this IServiceCollection services, Action<ChannelEventLoopOptions>? configure = null)
    {
        services.AddEventLoopOptions("Patterns:EventLoop:Channel", configure);
        services.TryAddSingleton<ChannelEventLoop>();
        return services.AddKeyedSingleton<IEventLoop>(Variants.Channel, (provider, _) => provider.GetRequiredService<ChannelEventLoop>());
    }

    /// <summary>Registers <see cref="IEventLoop"/> over all processes, under <see cref="Variants.Distributed"/>: it posts and reads. Settings: <c>Patterns:EventLoop:Redis</c>.</summary>
    /// <remarks>Needs an <c>IConnectionMultiplexer</c>. Events have their turns in processes that call <see cref="AddRedisLoopRunner"/>.</remarks>
    public static IServiceCollection AddRedisEventLoop(this IServiceCollection services, Action<RedisEventLoopOptions>? configure = null)
    {
        AddRedisParts(services, configure);
        services.TryAddSingleton(provider => new RedisEventLoop(
            provider.GetRequiredService<RedisLoopStore>(), provider.GetRequiredService<LoopHandlerCatalog>(),
            provider.GetRequiredService<IOptions<RedisEventLoopOptions>>(), provider.GetRequiredService<TimeProvider>()));
        return services.AddKeyedSingleton<IEventLoop>(Variants.Distributed, (provider, _) => provider.GetRequiredService<RedisEventLoop>());
    }

    /// <summary>Lets this process own its share of the partitions. Settings: <c>Patterns:EventLoop:Redis</c>.</summary>
    public static IServiceCollection AddRedisLoopRunner(this IServiceCollection services, Action<RedisEventLoopOptions>? configure = null)
    {
        AddRedisParts(services, configure);
        return services.AddHostedService(provider =>
        {
            var options = provider.GetRequiredService<IOptions<RedisEventLoopOptions>>();
            return new RedisLoopRunner(
                provider.GetRequiredService<RedisLoopStore>(), provider.GetRequiredService<LoopHandlerCatalog>(),
                options.Value.Name ?? provider.GetRequiredService<IOptions<MembersOptions>>().Value.Id,
                options, provider.GetRequiredService<TimeProvider>(), provider.GetRequiredService<ILogger<RedisLoopRunner>>());
        });
    }

    private static void AddRedisParts(IServiceCollection services, Action<RedisEventLoopOptions>? configure)
    {
        services.AddEventLoopOptions("Patterns:EventLoop:Redis", configure)
            .Validate(options => options.KeepPosts >= 1_000, "Patterns:EventLoop:Redis: KeepPosts must be 1,000 at least: every post has an id here, and is repeated under it when no answer comes.");
        services.TryAddSingleton<RedisLoopStore>();
    }

    private static OptionsBuilder<T> AddEventLoopOptions<T>(this IServiceCollection services, string section, Action<T>? configure) where T : EventLoopOptions
    {
        services.TryAddSingleton(TimeProvider.System);
        services.TryAddSingleton<LoopHandlerCatalog>();
        var options = services.AddOptions<T>().BindConfiguration(section).ValidateDataAnnotations().ValidateOnStart();
        return configure is null ? options : options.Configure(configure);
    }
}
