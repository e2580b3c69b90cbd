using DistributedPatterns.Diagnostics;
using DistributedPatterns.MapReduce;
using DistributedPatterns.MapReduce.Coordination;
using DistributedPatterns.MapReduce.Jobs;
using DistributedPatterns.Payloads;
using DistributedPatterns.ProducerConsumer;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using StackExchange.Redis;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Registers map-reduce: the jobs and inputs in every process, the variants where they are called, the parts where work is done.</summary>
public static class MapReduceServiceCollectionExtensions
{
    /// <summary>Registers a job by its name, for both variants.</summary>
    public static IServiceCollection AddMapReduceJob(this IServiceCollection services, IMapReduceJob job)
    {
        services.TryAddSingleton(TimeProvider.System);
        services.TryAddSingleton<MapReduceCatalog>();
        return services.AddSingleton(job);
    }

    /// <summary>Registers the jobs that ship, <c>word-count</c>, <c>inverted-index</c> and <c>field-count</c>, and the inputs they read. Settings: <c>Data</c>.</summary>
    public static IServiceCollection AddMapReduceJobs(this IServiceCollection services)
    {
        services.AddPipelineInputs();
        services.TryAddSingleton<MapReduceInputs>();
        if (services.Any(service => service.ImplementationInstance is WordCountJob)) return services;
        return services.AddMapReduceJob(new WordCountJob()).AddMapReduceJob(new InvertedIndexJob()).AddMapReduceJob(new FieldCountJob());
    }

    /// <summary>Registers <see cref="IMapReduce"/> inside the process, under <see cref="Variants.Channel"/>. Settings: <c>Patterns:MapReduce:Channel</c>.</summary>
    public static IServiceCollection AddChannelMapReduce(this IServiceCollection services, Action<ChannelMapReduceOptions>? configure = null)
    {
        var options = services.AddOptions<ChannelMapReduceOptions>()
            .BindConfiguration("Patterns:MapReduce:Channel").ValidateDataAnnotations().ValidateOnStart();
        if (configure is not null) options.Configure(configure);
        services.TryAddSingleton(TimeProvider.System);
        services.TryAddSingleton<MapReduceCatalog>();
        services.TryAddSingleton<ChannelMapReduce>();
        return services.AddKeyedSingleton<IMapReduce>(Variants.Channel, (provider, _) => provider.GetRequiredService<ChannelMapReduce>());
    }

    /// <summary>Registers <see cref="IMapReduce"/> across processes, under <see cref="Variants.Distributed"/>; needs Redis. Settings: <c>Patterns:MapReduce:Redis</c>.</summary>
    public static IServiceCollection AddRedisMapReduce(this IServiceCollection services, Action<RedisMapReduceOptions>? configure = null)
    {
        services.AddRedisParts(configure);
        services.TryAddSingleton(provider => new RedisMapReduce(
            provider.GetRequiredService<MapReduceQueues>(), provider.GetRequiredService<MapReduceCatalog>(), provider.GetRequiredService<MapReduceInputs>(),
            provider.GetRequiredService<IConnectionMultiplexer>(), provider.GetRequiredService<IOptions<RedisMapReduceOptions>>(), provider.GetRequiredService<TimeProvider>()));
        return services.AddKeyedSingleton<IMapReduce>(Variants.Distributed, (provider, _) => provider.GetRequiredService<RedisMapReduce>());
    }

    /// <summary>Makes this process one that coordinates jobs: a producer.</summary>
    public static IServiceCollection AddMapReduceCoordinator(this IServiceCollection services, Action<RedisMapReduceOptions>? configure = null) =>
        services.AddRedisParts(configure).AddHostedService<MapReduceCoordinator>();

    /// <summary>Makes this process one that maps splits: a worker.</summary>
    public static IServiceCollection AddMapReduceMapper(this IServiceCollection services, Action<RedisMapReduceOptions>? configure = null) =>
        services.AddRedisParts(configure).AddTaskRunner(TaskPhase.Map);

    /// <summary>Makes this process one that reduces partitions: a reducer.</summary>
    public static IServiceCollection AddMapReduceReducer(this IServiceCollection services, Action<RedisMapReduceOptions>? configure = null) =>
        services.AddRedisParts(configure).AddTaskRunner(TaskPhase.Reduce);

    private static IServiceCollection AddTaskRunner(this IServiceCollection services, TaskPhase phase) => services.AddSingleton<IHostedService>(provider => new TaskRunner(
        phase, provider.GetRequiredService<MapReduceQueues>(), provider.GetRequiredService<MapReduceCatalog>(), provider.GetRequiredService<MapReduceInputs>(),
        provider.GetRequiredService<IConnectionMultiplexer>(), provider.GetRequiredService<IOptions<RedisMapReduceOptions>>().Value,
        provider.GetRequiredService<TimeProvider>(), provider.GetRequiredService<ILogger<TaskRunner>>()));

    private static IServiceCollection AddRedisParts(this IServiceCollection services, Action<RedisMapReduceOptions>? configure)
    {
        var options = services.AddOptions<RedisMapReduceOptions>()
            .BindConfiguration("Patterns:MapReduce:Redis").ValidateDataAnnotations().ValidateOnStart();
        if (configure is not null) options.Configure(configure);
        services.TryAddSingleton(TimeProvider.System);
        services.TryAddSingleton<MapReduceCatalog>();
        if (services.Any(service => service.ServiceType == typeof(MapReduceQueues))) return services;
        services.AddSingleton<MapReduceQueues>();
        services.AddRedisWorkQueue(MapReduceQueues.JobsName, PayloadCodec.Json(MapReduceJson.Default.JobOrder), queue => queue.WhenFull = QueueFullPolicy.Reject);
        services.AddRedisWorkQueue(MapReduceQueues.MapsName, PayloadCodec.Json(MapReduceJson.Default.TaskOrder), Room);
        services.AddRedisWorkQueue(MapReduceQueues.ReducesName, PayloadCodec.Json(MapReduceJson.Default.TaskOrder), Room);
        // The pattern's own options say what its queues keep to.
        services.AddOptions<RedisWorkQueueOptions>(MapReduceQueues.JobsName).Configure<IOptions<RedisMapReduceOptions>>(Follow(MapReduceQueues.JobsName, (queue, own) =>
            (queue.Capacity, queue.DoneKeepFor) = (own.MaxJobs, own.KeepResults)));
        foreach (var name in (string[])[MapReduceQueues.MapsName, MapReduceQueues.ReducesName])
            services.AddOptions<RedisWorkQueueOptions>(name).Configure<IOptions<RedisMapReduceOptions>>(Follow(name, (queue, own) => queue.MaxAttempts = own.MaxAttempts));
        return services;

        // Every open task of as many jobs as may run: the bound is theirs, and a coordinator need not wait for another one's.
        static void Room(RedisWorkQueueOptions queue) => queue.Capacity = 100_000;

        static Action<RedisWorkQueueOptions, IOptions<RedisMapReduceOptions>> Follow(string name, Action<RedisWorkQueueOptions, RedisMapReduceOptions> also) => (queue, own) =>
        {
            (queue.KeyTag, queue.Lease) = ($"{own.Value.KeyTag}.{name}", own.Value.Lease);
            also(queue, own.Value);
        };
    }
}
