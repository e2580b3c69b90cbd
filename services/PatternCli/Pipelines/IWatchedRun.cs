using System.Text.Json.Serialization;
using DistributedPatterns.Pipeline;

namespace DistributedPatterns.PatternCli.Pipelines;

/// <summary>A run that is watched until it ends, wherever it is.</summary>
internal interface IWatchedRun : IAsyncDisposable
{
    /// <summary>Gets where it runs, for people.</summary>
    string Where { get; }

    /// <summary>Yields its status now and then; the last one is final.</summary>
    IAsyncEnumerable<PipelineStatus> WatchAsync();

    Task StopAsync(PipelineStop how);
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(PipelineStatus))]
[JsonSerializable(typeof(UnicodeSummary))]
[JsonSerializable(typeof(Dictionary<string, string>))]
internal sealed partial class PipelineCliJson : JsonSerializerContext;
