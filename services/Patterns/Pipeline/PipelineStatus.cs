using System.Text.Json;
using System.Text.Json.Serialization;

namespace DistributedPatterns.Pipeline;

/// <summary>A run's state at one moment.</summary>
public sealed record PipelineStatus
{
    public required string Id { get; init; }

    public required string Pipeline { get; init; }

    public required string Input { get; init; }

    public required PipelineState State { get; init; }

    /// <summary>Gets what became of the items read so far.</summary>
    public PipelineLedger Ledger { get; init; } = new();

    /// <summary>Gets the source, each stage and the sink, in order.</summary>
    public IReadOnlyList<StageReport> Stages { get; init; } = [];

    /// <summary>Gets the first diverted items, at most <see cref="MaxDivertedShown"/>; <see cref="PipelineLedger.Diverted"/> counts all.</summary>
    public IReadOnlyList<DivertedItem> Diverted { get; init; } = [];

    /// <summary>Gets the attempt's fencing token: 0 in process; across processes it rises with each replay, and writes of an older one are refused.</summary>
    public long Epoch { get; init; }

    /// <summary>Gets how often the input was read from its start again, because a process that held state of the run was lost.</summary>
    public int Replays { get; init; }

    /// <summary>Gets how long the run has taken so far, or took.</summary>
    public TimeSpan Elapsed { get; init; }

    /// <summary>Gets why the run failed; set exactly when <see cref="State"/> is <see cref="PipelineState.Failed"/>.</summary>
    public PipelineError? Error { get; init; }

    /// <summary>Gets what the sink made of the items; set exactly when the run completed or was drained.</summary>
    public JsonElement? Result { get; init; }

    /// <summary>Gets whether the run has ended; nothing changes any more.</summary>
    [JsonIgnore]
    public bool HasEnded => State >= PipelineState.Completed;

    /// <summary>How many diverted items a status lists.</summary>
    public const int MaxDivertedShown = 100;
}

/// <summary>Where a run is in its life. The last four are final.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<PipelineState>))]
public enum PipelineState
{
    /// <summary>Accepted, not started, or between two owners.</summary>
    Waiting,
    Running,
    Draining,

    /// <summary>The source was read to its end and every item accounted for.</summary>
    Completed,

    /// <summary>Ended early on request; the result covers what was read.</summary>
    Drained,
    Aborted,
    Failed,
}

/// <summary>What became of the items: <c>Read = Done + Skipped + Diverted + Failed + Dropped + InFlight</c>.</summary>
/// <remarks>While a run is going on the counts are read one after the other, so the equation is exact at the end only; <see cref="InFlight"/> is then 0.</remarks>
public sealed record PipelineLedger
{
    /// <summary>Gets the items taken from the source.</summary>
    public long Read { get; init; }

    /// <summary>Gets the items that reached the sink.</summary>
    public long Done { get; init; }

    /// <summary>Gets the items left out by <see cref="ItemErrorPolicy.Skip"/>.</summary>
    public long Skipped { get; init; }

    /// <summary>Gets the items set aside by <see cref="ItemErrorPolicy.Divert"/>.</summary>
    public long Diverted { get; init; }

    /// <summary>Gets the items whose error failed the run: 0 or 1.</summary>
    public long Failed { get; init; }

    /// <summary>Gets the items that were on their way when the run was aborted or failed.</summary>
    public long Dropped { get; init; }

    /// <summary>Gets the items on their way.</summary>
    public long InFlight => Math.Max(0, Read - Done - Skipped - Diverted - Failed - Dropped);
}

/// <summary>What one stage did: counts of items, and where its time went.</summary>
/// <param name="Busy">Time spent in the stage's own code, summed over its parallel loops.</param>
/// <param name="Starved">Time spent waiting for input. The stages after the slowest one are starved.</param>
/// <param name="Blocked">Time spent waiting for room in the next stage. The stages before the slowest one are blocked.</param>
public sealed record StageReport(
    string Name, long In, long Out, long Skipped, long Diverted, long Retried, TimeSpan Busy, TimeSpan Starved, TimeSpan Blocked);

/// <summary>An item set aside because a stage could not handle it.</summary>
/// <param name="Number">The item's place in the source, from 1: the line number in a file of lines.</param>
public sealed record DivertedItem(long Number, string Stage, string Reason);

/// <summary>Why a run failed.</summary>
/// <param name="Stage">The stage whose code threw, or <see langword="null"/> when it was none of them.</param>
/// <param name="Number">The item's place in the source, from 1, or <see langword="null"/>.</param>
public sealed record PipelineError(string Message, string? Stage = null, long? Number = null);
