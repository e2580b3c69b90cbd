using System.Text.Json.Serialization.Metadata;
using DistributedPatterns.Diagnostics;
using DistributedPatterns.WorkerPool;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Registers jobs in every process, and the pools where they are submitted or run.</summary>
public static class WorkerPoolServiceCollectionExtensions
{
    /// <summary>Registers a job by its name, for both variants.</summary>
    /// <param name="services">Where to.</param>
    /// <param name="name">1 to 64 characters.</param>
    /// <param name="handler">Makes what does the work, once a process. It must be repeatable.</param>
    /// <param name="jobType">How the input is read.</param>
    /// <param name="resultType">How the result is written.</param>
    /// <param name="configure">How often and how long the job is tried.</param>
    public static IServiceCollection AddJob<TJob, TResult>(
        this IServiceCollection services, string name, Func<IServiceProvider, JobHandler<TJob, TResult>> handler,
        JsonTypeInfo<TJob> jobType, JsonTypeInfo<TResult> resultType, Action<JobOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(handler);
        var options = new JobOptions();
        configure?.Invoke(options);
        return services.AddJob(provider => new JobDefinition<TJob, TResult>(name, handler(provider), jobType, resultType, options));
    }

    /// <summary>Registers a job that is described elsewhere.</summary>
    public static IServiceCollection AddJob<TJob, TResult>(
        this IServiceCollection services, Func<IServiceProvider, JobDefinition<TJob, TResult>> define)
    {
        services.TryAddSingleton(TimeProvider.System);
        services.TryAddSingleton<JobCatalog>();
        services.AddSingleton<JobDefinition<TJob, TResult>>(define);
        return services.AddSingleton<JobDefinition>(define);
    }

    /// <summary>Registers <see cref="IWorkerPool"/> inside the process, under <see cref="Variants.Channel"/>; it drains when the host stops. Settings: <c>Patterns:WorkerPool:Channel</c>.</summary>
    public static IServiceCollection AddChannelWorkerPool(this IServiceCollection services, Action<ChannelWorkerPoolOptions>? configure = null)
    {
        var options = services.AddOptions<ChannelWorkerPoolOptions>()
            .BindConfiguration("Patterns:WorkerPool:Channel").ValidateDataAnnotations().ValidateOnStart();
        if (configure is not null) options.Configure(configure);
        services.TryAddSingleton(TimeProvider.System);
        services.TryAddSingleton<JobCatalog>();
        services.TryAddSingleton<ChannelWorkerPool>();
        services.AddHostedService<ChannelWorkerPoolShutdown>();
        return services.AddKeyedSingleton<IWorkerPool>(Variants.Channel, (provider, _) => provider.GetRequiredService<ChannelWorkerPool>());
    }
}
