using System.ComponentModel;
using System.Text.Json;
using System.Text.Json.Serialization;
using DistributedPatterns.ProducerConsumer;
using DistributedPatterns.ProducerConsumer.Feeds;

namespace DistributedPatterns.Gateway.ProducerConsumer;

/// <summary>Hands items in.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record ItemsSubmission([property: Description("1 to 100 items.")] IReadOnlyList<ItemSubmission>? Items);

/// <summary>One item.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record ItemSubmission(
    [property: Description("What the consumer gets: any JSON, at most 60 KiB.")] JsonElement? Payload,
    [property: Description("1 to 64 letters, digits, '-' and '_'; the same id again adds nothing.")] string? Id,
    [property: Description("Waits so long before it can be delivered, 0 to 86400000.")] long? DelayMs,
    [property: Description("0, the most urgent, to 15.")] int? Priority,
    [property: Description("Is dead when it was not delivered within, 1 to 86400000.")] long? TtlMs);

/// <summary>What became of each item, at its own place.</summary>
internal sealed record ItemsReply(IReadOnlyList<ItemReply> Items, int Depth);

/// <param name="Outcome">Accepted, Full, Duplicate, Dead or Sealed.</param>
internal sealed record ItemReply(string Id, EnqueueOutcome Outcome, WorkItemState? Existing);

/// <summary>What a consumer has in hand now.</summary>
internal sealed record ReservedReply(IReadOnlyList<ReservedItem> Items, long LeaseMs);

/// <param name="Token">Names this hand-out; settle with it. As text, for a JSON number may lose digits.</param>
internal sealed record ReservedItem(string Id, string Token, int Attempt, RedeliveryReason Redelivery, double AgeMs, JsonElement Payload);

/// <summary>What a settlement did.</summary>
internal sealed record SettledReply(string Id, SettleOutcome Outcome);

internal sealed record ItemStatusReply(string Id, WorkItemState State, int Attempts, string Note);

internal sealed record DeadReply(IReadOnlyList<DeadItem> Items);

internal sealed record DeadItem(string Id, string Reason, int Attempts, double AgeMs, JsonElement? Payload);

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, UseStringEnumConverter = true)]
[JsonSerializable(typeof(ItemsSubmission))]
[JsonSerializable(typeof(ItemsReply))]
[JsonSerializable(typeof(ReservedReply))]
[JsonSerializable(typeof(SettledReply))]
[JsonSerializable(typeof(ItemStatusReply))]
[JsonSerializable(typeof(DeadReply))]
[JsonSerializable(typeof(ReplayResult))]
[JsonSerializable(typeof(WorkQueueLedger))]
[JsonSerializable(typeof(FeedStatus))]
internal sealed partial class ProducerConsumerJson : JsonSerializerContext;
