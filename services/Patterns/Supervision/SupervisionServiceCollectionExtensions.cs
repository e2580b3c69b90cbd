using DistributedPatterns.Diagnostics;
using DistributedPatterns.Members;
using DistributedPatterns.Supervision;
using DistributedPatterns.Supervision.Engine;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using StackExchange.Redis;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Registers children, in every process alike, and what supervises them.</summary>
public static class SupervisionServiceCollectionExtensions
{
    /// <summary>Registers a child for both variants. Children start in the order in which they are registered.</summary>
    /// <param name="services">Where to.</param>
    /// <param name="name">1 to 64 letters, digits, dots, underscores or hyphens.</param>
    /// <param name="body">Makes what it does, once a process.</param>
    /// <param name="configure">What is done when it ends.</param>
    public static IServiceCollection AddSupervisedChild(
        this IServiceCollection services, string name, Func<IServiceProvider, ChildBody> body, Action<ChildOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(body);
        var options = new ChildOptions();
        configure?.Invoke(options);
        return services.AddSingleton(provider => new ChildDefinition(name, body(provider), options));
    }

    /// <summary>Registers a <see cref="BackgroundService"/> as a child: what ends it is then its supervisor's to judge, not the host's. Do not register it as a hosted service too.</summary>
    /// <remarks>Each start has an instance of its own, for one that failed may be in any state. It gives no signs of life, so it is not found when it hangs.</remarks>
    public static IServiceCollection AddSupervisedService<TService>(this IServiceCollection services, string name, Action<ChildOptions>? configure = null)
        where TService : BackgroundService => services.AddSupervisedChild(name, provider => async (_, cancellationToken) =>
    {
        using var service = ActivatorUtilities.CreateInstance<TService>(provider);
        await service.StartAsync(CancellationToken.None).ConfigureAwait(false);
        try
        {
            await service.ExecuteTask!.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            await service.StopAsync(CancellationToken.None).ConfigureAwait(false); // waits for its end; how long is the supervisor's business
        }
    }, configure);

    /// <summary>Registers <see cref="ISupervisor"/> inside the process, under <see cref="Variants.Channel"/>; it runs with the host. Settings: <c>Patterns:Supervision:Channel</c>.</summary>
    public static IServiceCollection AddTaskSupervisor(this IServiceCollection services, Action<TaskSupervisorOptions>? configure = null)
    {
        services.AddSupervisionOptions("Patterns:Supervision:Channel", configure);
        services.TryAddSingleton<TaskSupervisor>();
        services.AddHostedService<TaskSupervisorHost>();
        return services.AddKeyedSingleton<ISupervisor>(Variants.Channel, (provider, _) => provider.GetRequiredService<TaskSupervisor>());
    }

    /// <summary>Registers <see cref="ISupervisor"/> over all processes, under <see cref="Variants.Distributed"/>: it watches and tells. Settings: <c>Patterns:Supervision:Redis</c>.</summary>
    /// <remarks>Needs an <see cref="IConnectionMultiplexer"/>. The children run in processes that call <see cref="AddRedisChildRunner"/>.</remarks>
    public static IServiceCollection AddRedisLeaseSupervisor(this IServiceCollection services, Action<RedisLeaseSupervisorOptions>? configure = null)
    {
        AddRedisParts(services, configure);
        services.TryAddSingleton(provider => new RedisLeaseSupervisor(
            provider.GetRequiredService<RedisSupervisorScript>(), provider.GetRequiredService<ChildCatalog>(), provider.GetRequiredService<IOptions<RedisLeaseSupervisorOptions>>()));
        return services.AddKeyedSingleton<ISupervisor>(Variants.Distributed, (provider, _) => provider.GetRequiredService<RedisLeaseSupervisor>());
    }

    /// <summary>Lets this process run its share of the children. Settings: <c>Patterns:Supervision:Redis</c>.</summary>
    public static IServiceCollection AddRedisChildRunner(this IServiceCollection services, Action<RedisLeaseSupervisorOptions>? configure = null)
    {
        AddRedisParts(services, configure);
        return services.AddHostedService(provider =>
        {
            var options = provider.GetRequiredService<IOptions<RedisLeaseSupervisorOptions>>();
            return new RedisChildRunner(
                provider.GetRequiredService<RedisSupervisorScript>(), provider.GetRequiredService<ChildCatalog>(),
                options.Value.Name ?? provider.GetRequiredService<IOptions<MembersOptions>>().Value.Id,
                options, provider.GetRequiredService<TimeProvider>(), provider.GetRequiredService<ILogger<RedisChildRunner>>());
        });
    }

    private static void AddRedisParts(IServiceCollection services, Action<RedisLeaseSupervisorOptions>? configure)
    {
        services.AddSupervisionOptions("Patterns:Supervision:Redis", configure)
            .Validate(options => options.PollEvery * 3 <= options.Lease, "Patterns:Supervision:Redis: PollEvery may be a third of Lease at most, or a late renewal loses children.");
        services.TryAddSingleton<RedisSupervisorScript>();
    }

    private static OptionsBuilder<T> AddSupervisionOptions<T>(this IServiceCollection services, string section, Action<T>? configure) where T : SupervisionOptions
    {
        services.TryAddSingleton(TimeProvider.System);
        services.TryAddSingleton<ChildCatalog>();
        var options = services.AddOptions<T>().BindConfiguration(section).ValidateDataAnnotations()
            .Validate(options => options.FirstPause <= options.LongestPause, $"{section}: FirstPause may not be longer than LongestPause.")
            .ValidateOnStart();
        return configure is null ? options : options.Configure(configure);
    }
}
