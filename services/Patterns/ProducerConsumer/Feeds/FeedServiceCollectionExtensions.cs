using DistributedPatterns.Diagnostics;
using DistributedPatterns.Payloads;
using DistributedPatterns.Pipeline;
using DistributedPatterns.ProducerConsumer;
using DistributedPatterns.ProducerConsumer.Feeds;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using StackExchange.Redis;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Registers the scenario of producer-consumer: feeds of records.</summary>
public static class FeedServiceCollectionExtensions
{
    /// <summary>Registers <see cref="FeedRuns"/> with a producer and a consumer in this process, under <see cref="Variants.Channel"/>.</summary>
    public static IServiceCollection AddChannelFeeds(this IServiceCollection services)
    {
        services.AddChannelWorkQueue<FeedOrder>(FeedRuns.OrderQueue, options => options.WhenFull = QueueFullPolicy.Reject);
        services.AddChannelWorkQueue<FeedRecord>(FeedRuns.RecordQueue);
        services.TryAddSingleton<PipelineInputs>();
        services.AddKeyedSingleton<IFeedTally>(Variants.Channel, (_, _) => new LocalFeedTally());
        return services.AddFeedRuns(Variants.Channel).AddFeedProducer(Variants.Channel).AddFeedConsumer(Variants.Channel);
    }

    /// <summary>Registers <see cref="FeedRuns"/> whose producer and consumers are in other processes, under <see cref="Variants.Distributed"/>.</summary>
    public static IServiceCollection AddRedisFeeds(this IServiceCollection services) => services.AddRedisFeedParts().AddFeedRuns(Variants.Distributed);

    /// <summary>Makes this process a producer of feeds that any process orders. Needs the inputs of <see cref="PipelineInputs"/>.</summary>
    public static IServiceCollection AddRedisFeedProducer(this IServiceCollection services)
    {
        services.TryAddSingleton<PipelineInputs>();
        return services.AddRedisFeedParts().AddFeedProducer(Variants.Distributed);
    }

    /// <summary>Makes this process a consumer of the records of all feeds.</summary>
    public static IServiceCollection AddRedisFeedConsumer(this IServiceCollection services) => services.AddRedisFeedParts().AddFeedConsumer(Variants.Distributed);

    private static IServiceCollection AddRedisFeedParts(this IServiceCollection services)
    {
        if (services.Any(service => service.ServiceType == typeof(IFeedTally) && Variants.Distributed.Equals(service.ServiceKey))) return services;
        services.AddRedisWorkQueue(FeedRuns.OrderQueue, PayloadCodec.Json(FeedJson.Default.FeedOrder), options => options.WhenFull = QueueFullPolicy.Reject);
        services.AddRedisWorkQueue(FeedRuns.RecordQueue, PayloadCodec.Json(FeedJson.Default.FeedRecord));
        return services.AddKeyedSingleton<IFeedTally>(Variants.Distributed, (provider, _) =>
            new RedisFeedTally(provider.GetRequiredService<IConnectionMultiplexer>(), provider.GetRequiredService<TimeProvider>()));
    }

    private static IServiceCollection AddFeedRuns(this IServiceCollection services, string variant) => services.AddKeyedSingleton(variant, (provider, _) => new FeedRuns(
        Orders(provider, variant), Records(provider, variant), Tally(provider, variant), provider.GetRequiredService<TimeProvider>()));

    private static IServiceCollection AddFeedProducer(this IServiceCollection services, string variant) => services.AddSingleton<IHostedService>(provider => new FeedProducer(
        Orders(provider, variant), Records(provider, variant), Tally(provider, variant), provider.GetRequiredService<PipelineInputs>(),
        provider.GetRequiredService<TimeProvider>(), provider.GetRequiredService<ILogger<FeedProducer>>()));

    private static IServiceCollection AddFeedConsumer(this IServiceCollection services, string variant) => services.AddSingleton<IHostedService>(provider => new FeedConsumer(
        Records(provider, variant), Tally(provider, variant), provider.GetRequiredService<ILogger<FeedConsumer>>()));

    private static IWorkQueue<FeedOrder> Orders(IServiceProvider provider, string variant) =>
        provider.GetRequiredKeyedService<IWorkQueue<FeedOrder>>(WorkQueueKey.Of(variant, FeedRuns.OrderQueue));

    private static IWorkQueue<FeedRecord> Records(IServiceProvider provider, string variant) =>
        provider.GetRequiredKeyedService<IWorkQueue<FeedRecord>>(WorkQueueKey.Of(variant, FeedRuns.RecordQueue));

    private static IFeedTally Tally(IServiceProvider provider, string variant) => provider.GetRequiredKeyedService<IFeedTally>(variant);
}
