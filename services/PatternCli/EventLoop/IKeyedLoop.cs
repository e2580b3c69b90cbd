using System.Text.Json.Serialization;
using DistributedPatterns.EventLoop;

namespace DistributedPatterns.PatternCli.EventLoop;

/// <summary>An event loop, wherever it is.</summary>
internal interface IKeyedLoop : IAsyncDisposable
{
    /// <summary>Gets where it is, for people.</summary>
    string Where { get; }

    /// <summary>Posts until there was room.</summary>
    Task PostAsync(string key, IReadOnlyList<LoopEvent> events);

    Task<KeyState?> ReadAsync(string key);

    Task<IReadOnlyList<PartitionStatus>> ReadPartitionsAsync();
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(EventsToPost))]
[JsonSerializable(typeof(KeyState))]
[JsonSerializable(typeof(IReadOnlyList<PartitionStatus>))]
internal sealed partial class EventLoopCliJson : JsonSerializerContext;

/// <summary>The body of a post.</summary>
internal sealed record EventsToPost(IReadOnlyList<LoopEvent> Events);
