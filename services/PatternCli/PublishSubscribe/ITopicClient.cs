using System.Text.Json;
using System.Text.Json.Serialization;

namespace DistributedPatterns.PatternCli.PublishSubscribe;

/// <summary>A topic to publish to and to listen to, wherever it is.</summary>
internal interface ITopicClient : IAsyncDisposable
{
    /// <summary>Gets where it is, for people.</summary>
    string Where { get; }

    /// <summary>Publishes a line and returns its number.</summary>
    Task<long> PublishAsync(string subject, string line);

    /// <summary>Begins to listen.</summary>
    /// <param name="overflow">As the gateway calls it.</param>
    /// <param name="after">The id of the item to go on behind.</param>
    Task<ITopicStream> OpenAsync(string subjects, string overflow, string? after = null);
}

/// <summary>What one subscriber reads.</summary>
internal interface ITopicStream : IAsyncDisposable
{
    /// <summary>Gets the number of the last message before the first item.</summary>
    long Start { get; }

    Task<StreamItem> ReadAsync(CancellationToken cancellationToken);
}

/// <param name="Line">The message; <see langword="null"/> for a mark.</param>
/// <param name="Missed">How many messages a mark stands for.</param>
internal readonly record struct StreamItem(string Id, long Sequence, string? Line, long Missed);

/// <summary>What the gateway answers to a publish.</summary>
internal sealed record PublishedLine(long Sequence);

/// <summary>What the gateway streams.</summary>
internal sealed record StreamedEvent(long Sequence, string? Topic, JsonElement? Payload, long? Missed, string? Reason);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(string))]
[JsonSerializable(typeof(PublishedLine))]
[JsonSerializable(typeof(StreamedEvent))]
internal sealed partial class PublishSubscribeCliJson : JsonSerializerContext;
