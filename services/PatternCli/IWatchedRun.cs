using System.Text.Json.Serialization;
using DistributedPatterns.Pipeline;

namespace DistributedPatterns.PatternCli;

/// <summary>A run that is watched until it ends, wherever it is.</summary>
internal interface IWatchedRun : IAsyncDisposable
{
    /// <summary>Gets where it runs, for people.</summary>
    string Where { get; }

    /// <summary>Yields its status now and then; the last one is final.</summary>
    IAsyncEnumerable<PipelineStatus> WatchAsync();

    Task StopAsync(PipelineStop how);
}

/// <summary>The run could not be started or watched; the message is for the user.</summary>
internal sealed class RunUnavailableException(string message, Exception? inner = null) : Exception(message, inner);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(PipelineStatus))]
[JsonSerializable(typeof(UnicodeSummary))]
[JsonSerializable(typeof(Problem))]
[JsonSerializable(typeof(Dictionary<string, string>))]
internal sealed partial class PatternCliJson : JsonSerializerContext;

/// <summary>What the gateway says when it refuses.</summary>
internal sealed record Problem(string? Title, string? Detail);
