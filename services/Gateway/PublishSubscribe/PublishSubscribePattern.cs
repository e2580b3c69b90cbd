using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using DistributedPatterns.Diagnostics;
using DistributedPatterns.Gateway.Patterns;
using DistributedPatterns.Gateway.Problems;
using DistributedPatterns.Payloads;
using DistributedPatterns.PublishSubscribe;
using Microsoft.Extensions.Options;

namespace DistributedPatterns.Gateway.PublishSubscribe;

/// <summary>The topic <c>events</c>, whose publishers and subscribers are HTTP clients; a topic in a route is a subject in it.</summary>
internal sealed class PublishSubscribePattern : GatewayPattern
{
    private const string Topic = "events";

    public override string Name => "publish-subscribe";

    public override string Title => "Publish-subscribe";

    public override string Question => "How does everybody who listens get every message, at a pace of his own, and know what he missed?";

    public override string Article => "services/Patterns/PublishSubscribe/README.md";

    public override IJsonTypeInfoResolver Json => PublishSubscribeJson.Default;

    public override IReadOnlyList<string> Examples =>
    [
        "-N '{here}/api/publish-subscribe/distributed/topics/orders.**/stream?from=last:10'",
        """-i {here}/api/publish-subscribe/distributed/topics/orders.eu.created -H 'Content-Type: application/json' -d '{"order":17}'""",
        "-N '{here}/api/publish-subscribe/distributed/topics/orders.*.created/stream?kind=ephemeral&overflow=latest'",
        "{here}/api/publish-subscribe/distributed/stats",
    ];

    public override void AddServices(IServiceCollection services)
    {
        // A request is answered within Gateway:BrokerTimeout; what it asked for should not be tried for much longer.
        services.AddChannelTopic<byte[]>(Topic)
            .AddRedisRetainedTopic(Topic, PayloadCodec.Bytes, options => options.RetryFor = TimeSpan.FromSeconds(4))
            .AddRedisEphemeralTopic(Topic, PayloadCodec.Bytes);
        services.AddKeyedSingleton(Variants.Channel, (provider, _) => new EventTopics(
            provider.GetRequiredKeyedService<ITopic<byte[]>>(TopicKey.Channel(Topic)), null, BufferOf<ChannelTopicOptions>(provider)));
        services.AddKeyedSingleton(Variants.Distributed, (provider, _) => new EventTopics(
            provider.GetRequiredKeyedService<ITopic<byte[]>>(TopicKey.Retained(Topic)), provider.GetRequiredKeyedService<ITopic<byte[]>>(TopicKey.Ephemeral(Topic)),
            Math.Min(BufferOf<RedisRetainedTopicOptions>(provider), BufferOf<RedisTopicOptions>(provider))));
        services.AddSingleton<TopicWatchers>();

        static int BufferOf<TOptions>(IServiceProvider provider) where TOptions : TopicOptions => provider.GetRequiredService<IOptionsMonitor<TOptions>>().Get(Topic).Buffer;
    }

    public override void Map(RouteGroupBuilder group, string variant, IServiceProvider services) => PublishSubscribeEndpoints.Map(group, variant, services);

    public override Problem? Describe(Exception exception) => exception switch
    {
        MessageTooLargeException => new(ProblemKind.BodyTooLarge, exception.Message),
        TooManySubscribersException => new(ProblemKind.TooManyWatchers, exception.Message),
        UnsupportedSubscriptionException => new(ProblemKind.InvalidParameter, exception.Message),
        TopicClosedException => new(ProblemKind.Draining, exception.Message),
        _ => null,
    };
}

/// <summary>The topic <c>events</c> in one variant.</summary>
/// <param name="Kept">What can be replayed.</param>
/// <param name="Ephemeral">What cannot, where there is a difference.</param>
/// <param name="Buffer">The largest buffer of a subscriber.</param>
internal sealed record EventTopics(ITopic<byte[]> Kept, ITopic<byte[]>? Ephemeral, int Buffer);

/// <summary>The two kinds of topics across processes.</summary>
internal enum TopicKind
{
    Retained,
    Ephemeral,
}

/// <summary>A message is published.</summary>
/// <param name="Id">Where it stands; a stream can go on from there. Of an ephemeral topic only its publisher's number.</param>
internal sealed record PublishedReply(string Topic, string Id, long Sequence);

/// <summary>What a stream tells.</summary>
/// <param name="Topic">Of a message: where it was published.</param>
/// <param name="Payload">Of a message: what was published.</param>
/// <param name="Missed">Of a mark: how many messages it stands for.</param>
/// <param name="Reason">Why the stream ended.</param>
internal sealed record TopicEvent(long Sequence, string? Topic = null, JsonElement? Payload = null, long? Missed = null, string? Reason = null);

/// <summary>What has become of all messages, for each subscriber of this gateway.</summary>
/// <param name="Watchers">How many event streams of any pattern are open.</param>
internal sealed record PublishSubscribeStats(TopicLedger Ledger, TopicLedger? Ephemeral, int Watchers);

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, UseStringEnumConverter = true)]
[JsonSerializable(typeof(JsonNode))]
[JsonSerializable(typeof(PublishedReply))]
[JsonSerializable(typeof(TopicEvent))]
[JsonSerializable(typeof(PublishSubscribeStats))]
internal sealed partial class PublishSubscribeJson : JsonSerializerContext;
