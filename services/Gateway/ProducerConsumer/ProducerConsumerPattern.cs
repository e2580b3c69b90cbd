using System.Text.Json.Serialization.Metadata;
using DistributedPatterns.Diagnostics;
using DistributedPatterns.Gateway.Idempotency;
using DistributedPatterns.Gateway.Patterns;
using DistributedPatterns.Gateway.Problems;
using DistributedPatterns.Payloads;
using DistributedPatterns.ProducerConsumer;
using StackExchange.Redis;

namespace DistributedPatterns.Gateway.ProducerConsumer;

/// <summary>The queue <c>items</c>, whose producers and consumers are HTTP clients; and feeds, whose producer and consumers are services of the system.</summary>
internal sealed class ProducerConsumerPattern : GatewayPattern
{
    private const string Queue = "items";

    public override string Name => "producer-consumer";

    public override string Title => "Producer-consumer";

    public override string Question => "How does an item stay until a consumer says that it is done, in bounded space?";

    public override string Article => "services/Patterns/ProducerConsumer/README.md";

    public override IJsonTypeInfoResolver Json => ProducerConsumerJson.Default;

    public override IReadOnlyList<string> Examples =>
    [
        """-i {here}/api/producer-consumer/distributed/items -H 'Content-Type: application/json' -d '{"items":[{"payload":{"n":1}},{"payload":{"n":2},"priority":1}]}'""",
        "-X POST '{here}/api/producer-consumer/distributed/reserve?n=2'",
        "-X POST '{here}/api/producer-consumer/distributed/items/<id>/ack?token=<token>'",
        "{here}/api/producer-consumer/distributed/stats",
        "-i -X POST '{here}/api/producer-consumer/distributed/runs?count=1000&rate=200'",
        "'{here}/api/producer-consumer/distributed/runs/<id>?wait=10s'",
    ];

    public override void AddServices(IServiceCollection services)
    {
        // A request that waits for room only holds a connection; whoever is told at once can wait where it costs nothing.
        services.AddChannelWorkQueue<byte[]>(Queue, options => options.WhenFull = QueueFullPolicy.Reject);
        services.AddRedisWorkQueue(Queue, PayloadCodec.Bytes, options => options.WhenFull = QueueFullPolicy.Reject);
        foreach (var variant in PatternRoute.Variants)
            services.AddKeyedSingleton(variant, (provider, _) => new ItemQueue(provider.GetRequiredKeyedService<IWorkQueue<byte[]>>(WorkQueueKey.Of(variant, Queue))));
        services.AddChannelFeeds().AddRedisFeeds();
        services.AddKeyedSingleton<IRequestKeys>(KeysOf(Variants.Channel), (provider, _) => new LocalRequestKeys(provider.GetRequiredService<TimeProvider>()));
        services.AddKeyedSingleton<IRequestKeys>(KeysOf(Variants.Distributed), (provider, _) => new RedisRequestKeys(provider.GetRequiredService<IConnectionMultiplexer>, "queue." + Queue));
    }

    /// <summary>Names the Idempotency-Keys of items among those of other patterns.</summary>
    public static string KeysOf(string variant) => $"producer-consumer:{variant}";

    public override void Map(RouteGroupBuilder group, string variant, IServiceProvider services)
    {
        ProducerConsumerEndpoints.Map(group, variant, services);
        FeedEndpoints.Map(group, variant, services);
    }

    public override Problem? Describe(Exception exception) => exception switch
    {
        PayloadTooLargeException => new(ProblemKind.BodyTooLarge, exception.Message),
        WorkQueueFullException => new(ProblemKind.Full, exception.Message),
        _ => null,
    };
}

/// <summary>The queue <c>items</c> in one variant.</summary>
internal sealed record ItemQueue(IWorkQueue<byte[]> Items);
