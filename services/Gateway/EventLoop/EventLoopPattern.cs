using System.ComponentModel;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using DistributedPatterns.Diagnostics;
using DistributedPatterns.EventLoop;
using DistributedPatterns.Gateway.Idempotency;
using DistributedPatterns.Gateway.Patterns;
using DistributedPatterns.Gateway.Problems;
using DistributedPatterns.Members;
using Microsoft.Extensions.Options;
using StackExchange.Redis;

namespace DistributedPatterns.Gateway.EventLoop;

internal sealed class EventLoopPattern : GatewayPattern
{
    public override string Name => "event-loop";

    public override string Title => "Event loop";

    public override string Question => "How is a state changed by one event at a time, in order, without locks, and by one owner over any number of processes?";

    public override string Article => "services/Patterns/EventLoop/README.md";

    public override IJsonTypeInfoResolver Json => EventLoopJson.Default;

    public override IReadOnlyList<string> Examples =>
    [
        """-i '{here}/api/event-loop/channel/keys/a/events' -H 'Content-Type: application/json' -d '{"events":[{"handler":"tally","body":{"line":"one"}}]}'""",
        "{here}/api/event-loop/channel/keys/a",
        """'{here}/api/event-loop/distributed/keys/me/events?wait=2s' -H 'Content-Type: application/json' -d '{"events":[{"handler":"visit","body":{"idleMs":3000}}]}'""",
        "{here}/api/event-loop/distributed/partitions",
        "{here}/api/event-loop/distributed/stats",
    ];

    public override void AddServices(IServiceCollection services)
    {
        // Whoever is told "full" at once can go elsewhere; a request that waits for room only holds a connection.
        services.AddTallyHandlers()
            .AddChannelEventLoop(options => options.WhenFull = LoopFullPolicy.Reject)
            .AddRedisEventLoop(options => options.WhenFull = LoopFullPolicy.Reject);
        services.AddOptions<ChannelEventLoopOptions>().Configure<IOptions<MembersOptions>>((channel, self) => channel.Name = self.Value.Id);
        services.AddKeyedSingleton<IRequestKeys>(KeysOf(Variants.Channel), (provider, _) => new LocalRequestKeys(provider.GetRequiredService<TimeProvider>()));
        services.AddKeyedSingleton<IRequestKeys>(KeysOf(Variants.Distributed), (provider, _) => new RedisRequestKeys(
            provider.GetRequiredService<IConnectionMultiplexer>, provider.GetRequiredService<IOptions<RedisEventLoopOptions>>().Value.KeyTag));
    }

    /// <summary>Names the Idempotency-Keys of posts among those of other patterns.</summary>
    public static string KeysOf(string variant) => $"event-loop:{variant}";

    public override void Map(RouteGroupBuilder group, string variant, IServiceProvider services) => EventLoopEndpoints.Map(group, variant, services);

    public override Problem? Describe(Exception exception) => exception switch
    {
        UnknownLoopHandlerException or LoopEventException => new(ProblemKind.InvalidEvents, exception.Message),
        EventLoopFullException => new(ProblemKind.Full, exception.Message),
        EventLoopStoppedException => new(ProblemKind.Draining, exception.Message),
        PartitionFencedException => new(ProblemKind.Fenced, exception.Message),
        LoopEventFailedException => new(ProblemKind.OperationFailed, exception.Message),
        _ => null,
    };
}

/// <summary>Events for a key.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record EventsSubmission([property: Description("1 to 100 events; taken on together or not at all.")] IReadOnlyList<EventSubmission>? Events);

/// <summary>One event.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record EventSubmission(
    [property: Description("Who handles it: tally, visit or visit-end.")] string? Handler,
    [property: Description("What it takes, such as {\"line\":\"one\"} or {\"idleMs\":3000}; at most 64 KiB.")] JsonElement? Body);

/// <summary>What an Idempotency-Key stands for.</summary>
internal sealed record KeyedEvents(string Key, IReadOnlyList<EventSubmission> Events);

/// <summary>Events were taken on.</summary>
/// <param name="Position">The place of the last one in its partition.</param>
internal sealed record EventsAccepted(string Key, int Partition, long Position, string Location);

/// <summary>What has become of all events so far.</summary>
internal sealed record EventLoopStats(EventLedger Ledger, EventCounters Counters, SlowTurn? SlowestTurn, string? LastError);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(EventsSubmission))]
[JsonSerializable(typeof(KeyedEvents))]
[JsonSerializable(typeof(EventsAccepted))]
[JsonSerializable(typeof(KeyState))]
[JsonSerializable(typeof(EventLoopStatus))]
[JsonSerializable(typeof(IReadOnlyList<PartitionStatus>))]
[JsonSerializable(typeof(EventLoopStats))]
[JsonSerializable(typeof(string))]
internal sealed partial class EventLoopJson : JsonSerializerContext;
