using System.Text.Json.Serialization.Metadata;
using DistributedPatterns.Diagnostics;
using DistributedPatterns.Members;
using DistributedPatterns.Payloads;
using DistributedPatterns.ProducerConsumer;
using DistributedPatterns.WorkerPool;
using DistributedPatterns.WorkerPool.Engine;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using StackExchange.Redis;

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

    /// <summary>Registers <see cref="IWorkerPool"/> across processes, under <see cref="Variants.Distributed"/>: it submits and watches jobs. Settings: <c>Patterns:WorkerPool:Redis</c>.</summary>
    /// <remarks>Needs an <see cref="IConnectionMultiplexer"/>. The jobs run in processes that call <see cref="AddRedisWorkers"/>.</remarks>
    public static IServiceCollection AddRedisWorkerPool(this IServiceCollection services, Action<RedisWorkerPoolOptions>? configure = null)
    {
        AddRedisParts(services, configure);
        services.TryAddSingleton(provider => new RedisWorkerPool(
            QueueOf(provider), provider.GetRequiredService<RedisWorkerRegistry>(), provider.GetRequiredService<JobCatalog>(),
            provider.GetRequiredService<IOptions<RedisWorkerPoolOptions>>(), provider.GetRequiredService<TimeProvider>()));
        return services.AddKeyedSingleton<IWorkerPool>(Variants.Distributed, (provider, _) => provider.GetRequiredService<RedisWorkerPool>());
    }

    /// <summary>Gives this process workers: it runs jobs that any process submits. Settings: <c>Patterns:WorkerPool:Redis</c>.</summary>
    public static IServiceCollection AddRedisWorkers(this IServiceCollection services, Action<RedisWorkerPoolOptions>? configure = null)
    {
        AddRedisParts(services, configure);
        return services.AddHostedService(provider =>
        {
            var options = provider.GetRequiredService<IOptions<RedisWorkerPoolOptions>>();
            var name = options.Value.Name ?? provider.GetRequiredService<IOptions<MembersOptions>>().Value.Id;
            return new RedisWorkers(
                QueueOf(provider), provider.GetRequiredService<RedisWorkerRegistry>(), provider.GetRequiredService<JobCatalog>(), name,
                options, provider.GetRequiredService<TimeProvider>(), provider.GetRequiredService<ILogger<RedisWorkers>>());
        });
    }

    private static void AddRedisParts(IServiceCollection services, Action<RedisWorkerPoolOptions>? configure)
    {
        var options = services.AddOptions<RedisWorkerPoolOptions>()
            .BindConfiguration("Patterns:WorkerPool:Redis").ValidateDataAnnotations().ValidateOnStart();
        if (configure is not null) options.Configure(configure);
        if (services.Any(service => service.ServiceType == typeof(RedisWorkerRegistry))) return;

        services.TryAddSingleton<JobCatalog>();
        services.AddSingleton<RedisWorkerRegistry>();
        services.AddRedisWorkQueue(RedisWorkerPool.QueueName, PayloadCodec.Json(WorkerPoolJson.Default.JobEnvelope));
        services.AddOptions<RedisWorkQueueOptions>(RedisWorkerPool.QueueName)
            .Configure<IOptions<RedisWorkerPoolOptions>, JobCatalog>((queue, pool, catalog) => Configure(queue, pool.Value, catalog));
    }

    private static void Configure(RedisWorkQueueOptions queue, RedisWorkerPoolOptions pool, JobCatalog catalog)
    {
        (queue.KeyTag, queue.Capacity, queue.FullWait) = (pool.KeyTag, pool.Capacity, pool.FullWait);
        queue.WhenFull = pool.WhenFull == PoolFullPolicy.Wait ? QueueFullPolicy.Wait : QueueFullPolicy.Reject;
        (queue.DoneKeep, queue.DoneKeepFor, queue.Lease, queue.RetryFor) = (pool.KeepEnded, pool.KeepEndedFor, pool.Lease, pool.RetryFor);
        // The queue buries what its workers never came back from; a job that may be tried less often is buried by whoever gets it next.
        queue.MaxAttempts = catalog.All.Select(job => job.Options.MaxAttempts).DefaultIfEmpty(1).Max();
    }

    private static IWorkQueue<JobEnvelope> QueueOf(IServiceProvider provider) =>
        provider.GetRequiredKeyedService<IWorkQueue<JobEnvelope>>(WorkQueueKey.Distributed(RedisWorkerPool.QueueName));
}
