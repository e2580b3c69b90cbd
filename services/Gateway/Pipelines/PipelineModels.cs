using System.ComponentModel;
using System.Text.Json.Serialization;
using DistributedPatterns.Pipeline;

namespace DistributedPatterns.Gateway.Pipelines;

/// <summary>Asks for a run.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record RunRequest(
    [property: Description("The pipeline's name: unicode or echo.")] string? Pipeline,
    [property: Description("What it reads: unicode-data for unicode, a count from 1 to 10000000 for echo.")] string? Input);

/// <summary>A run was taken on.</summary>
internal sealed record RunAccepted(string Id, string Pipeline, string Input, string Status, string Events);

/// <summary>How long it took to send items through the pattern.</summary>
internal sealed record EchoReply(long Count, long Checksum, double ElapsedMs);

/// <summary>What became of the runs that this gateway started.</summary>
internal sealed record PipelineStats(
    long Open, long Started, long Completed, long Drained, long Aborted, long Failed, int Watchers, PipelineLedger Ledger);

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    RespectNullableAnnotations = true)]
[JsonSerializable(typeof(RunRequest))]
[JsonSerializable(typeof(RunAccepted))]
[JsonSerializable(typeof(EchoReply))]
[JsonSerializable(typeof(PipelineStats))]
[JsonSerializable(typeof(PipelineStatus))]
internal sealed partial class PipelineEndpointsJson : JsonSerializerContext;
