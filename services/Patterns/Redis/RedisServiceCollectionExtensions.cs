using DistributedPatterns.Redis;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Adds what all patterns on Redis need.</summary>
public static class RedisServiceCollectionExtensions
{
    /// <summary>Checks at start that the server's scripts are atomic, and ends the process when they are not; not healthy before that is known.</summary>
    public static IServiceCollection AddRedisAtomicityProbe(this IServiceCollection services)
    {
        services.TryAddSingleton(TimeProvider.System);
        services.TryAddSingleton<AtomicityProbe>();
        // Once, however many patterns ask for it.
        if (services.All(service => service.ServiceType != typeof(Marker)))
        {
            services.AddSingleton<Marker>().AddHostedService(provider => provider.GetRequiredService<AtomicityProbe>());
            services.AddHealthChecks().Add(new HealthCheckRegistration("atomicity", provider => provider.GetRequiredService<AtomicityProbe>(), null, null));
        }
        return services;
    }

    private sealed class Marker;
}
