using DistributedPatterns.Diagnostics;
using DistributedPatterns.RateLimiting;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using StackExchange.Redis;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Registers rate limiting: limits by algorithm and key, in one process or over all.</summary>
public static class RateLimitingServiceCollectionExtensions
{
    /// <summary>Registers <see cref="IRateLimiting"/> inside the process, under <see cref="Variants.Channel"/>. Settings: <c>Patterns:RateLimiting</c>.</summary>
    public static IServiceCollection AddLocalRateLimiting(this IServiceCollection services, Action<RateLimitingOptions>? configure = null)
    {
        AddOptions(services, configure);
        services.TryAddSingleton<LocalRateLimiting>();
        return services.AddKeyedSingleton<IRateLimiting>(Variants.Channel, (provider, _) => provider.GetRequiredService<LocalRateLimiting>());
    }

    /// <summary>Registers <see cref="IRateLimiting"/> across processes, under <see cref="Variants.Distributed"/>. Settings: <c>Patterns:RateLimiting</c> and <c>Patterns:RateLimiting:Redis</c>.</summary>
    public static IServiceCollection AddRedisRateLimiting(
        this IServiceCollection services, Action<RateLimitingOptions>? configure = null, Action<RedisRateLimitingOptions>? configureRedis = null)
    {
        AddOptions(services, configure);
        var options = services.AddOptions<RedisRateLimitingOptions>()
            .BindConfiguration("Patterns:RateLimiting:Redis").ValidateDataAnnotations()
            .Validate<IOptions<RateLimitingOptions>>((redis, limit) => redis.Borrow <= limit.Value.Burst, "Borrow must not be more than Patterns:RateLimiting:Burst.")
            .ValidateOnStart();
        if (configureRedis is not null) options.Configure(configureRedis);
        services.TryAddSingleton(provider =>
        {
            var redis = provider.GetRequiredService<IOptions<RedisRateLimitingOptions>>().Value;
            return new RedisLimitStore(
                provider.GetRequiredService<IConnectionMultiplexer>(),
                new RedisLimitStoreOptions { AnswerLimit = redis.AnswerLimit, ProbeEvery = redis.ProbeEvery },
                provider.GetRequiredService<TimeProvider>(), provider.GetService<ILogger<RedisLimitStore>>());
        });
        services.TryAddSingleton<RedisRateLimiting>();
        return services.AddKeyedSingleton<IRateLimiting>(Variants.Distributed, (provider, _) => provider.GetRequiredService<RedisRateLimiting>());
    }

    private static void AddOptions(IServiceCollection services, Action<RateLimitingOptions>? configure)
    {
        var options = services.AddOptions<RateLimitingOptions>().BindConfiguration("Patterns:RateLimiting").ValidateDataAnnotations()
            .Validate(limit => limit.Period.Ticks % TimeSpan.TicksPerMillisecond == 0, "Patterns:RateLimiting:Period must be whole milliseconds.")
            .ValidateOnStart();
        if (configure is not null) options.Configure(configure);
        services.TryAddSingleton(TimeProvider.System);
    }
}
