using System.Text.Json.Serialization;

namespace DistributedPatterns.ProducerConsumer.Feeds;

/// <summary>Asks for the first records of <c>UnicodeData.txt</c> at a set rate.</summary>
/// <param name="Count">How many, 1 to <see cref="MaxCount"/>.</param>
/// <param name="PerSecond">How many a second, 1 to <see cref="MaxPerSecond"/>; fewer while the queue is full.</param>
public sealed record FeedOrder(int Count, int PerSecond)
{
    public const int MaxCount = 10_000;
    public const int MaxPerSecond = 100_000;
}

/// <summary>One record on its way from producer to consumer.</summary>
/// <param name="Feed">Whose it is.</param>
/// <param name="Number">Which one of it, from 1.</param>
/// <param name="Line">As it stands in the file.</param>
public sealed record FeedRecord(string Feed, int Number, string Line);

/// <summary>Where a feed is.</summary>
public enum FeedState
{
    /// <summary>No producer has it.</summary>
    Waiting,

    /// <summary>A producer works on it.</summary>
    Producing,

    /// <summary>Everything is produced, and something is not consumed.</summary>
    Draining,

    /// <summary>Everything is produced and consumed.</summary>
    Done,

    /// <summary>It was cancelled. What was produced before is consumed.</summary>
    Cancelled,

    /// <summary>No producer could produce it; <see cref="FeedStatus.Note"/> says why.</summary>
    Failed,

    /// <summary>Everything is produced, nothing is in the queue any more, and yet something was not consumed: it is among the dead letters, or was dropped.</summary>
    Incomplete,
}

/// <summary>How far a feed is.</summary>
/// <param name="Produced">How many records are in the queue or were; at a producer's death the last few may not be counted yet.</param>
/// <param name="Consumed">How many were worked on, each counted once however often it was delivered.</param>
/// <param name="Attempts">How often a producer has taken it: more than once when one died.</param>
/// <param name="ByCategory">At the end: how many consumed records are of each general category.</param>
public sealed record FeedStatus(
    string Id, FeedState State, int Count, int PerSecond, int Produced, int Consumed, int Attempts, string Note, IReadOnlyDictionary<string, int>? ByCategory)
{
    [JsonIgnore]
    public bool HasEnded => State is not (FeedState.Waiting or FeedState.Producing or FeedState.Draining);
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(FeedOrder))]
[JsonSerializable(typeof(FeedRecord))]
internal sealed partial class FeedJson : JsonSerializerContext;
