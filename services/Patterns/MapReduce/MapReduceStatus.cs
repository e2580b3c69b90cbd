using System.Text.Json.Serialization;

namespace DistributedPatterns.MapReduce;

/// <summary>Where a job is.</summary>
public enum MapReduceState
{
    /// <summary>Nobody has begun it.</summary>
    Waiting,

    /// <summary>Splits are mapped.</summary>
    Mapping,

    /// <summary>Partitions are reduced, or brought together.</summary>
    Reducing,

    /// <summary>The result is there.</summary>
    Completed,

    /// <summary>It cannot be done; <see cref="MapReduceStatus.Error"/> says why.</summary>
    Failed,

    /// <summary>It was cancelled.</summary>
    Cancelled,
}

/// <summary>How far a job is, or how it ended.</summary>
public sealed record MapReduceStatus(string Id, string Job, string Input, MapReduceState State)
{
    /// <summary>Gets how many splits there are, and how many are mapped for good.</summary>
    public TaskProgress Maps { get; init; }

    /// <summary>Gets how many partitions there are, and how many are reduced for good.</summary>
    public TaskProgress Reduces { get; init; }

    /// <summary>Gets why it failed.</summary>
    public string? Error { get; init; }

    /// <summary>Gets what came of it, once it is completed.</summary>
    public MapReduceReport? Report { get; init; }

    [JsonIgnore]
    public bool HasEnded => State is MapReduceState.Completed or MapReduceState.Failed or MapReduceState.Cancelled;
}

/// <param name="Done">How many are committed.</param>
/// <param name="Total">How many there are; 0 while that is not known.</param>
public readonly record struct TaskProgress(int Done, int Total);

/// <summary>What a completed job did. Only committed attempts are counted.</summary>
public sealed record MapReduceReport
{
    /// <summary>Gets how large the input is.</summary>
    public long Bytes { get; init; }

    /// <summary>Gets how many lines were read: mapped and skipped together.</summary>
    public long Records { get; init; }

    /// <summary>Gets how many of them the job refused.</summary>
    public long Skipped { get; init; }

    /// <summary>Gets how many pairs the job emitted.</summary>
    public long Emitted { get; init; }

    /// <summary>Gets how many pairs the mappers handed on: the fewer, the more the combiner saved.</summary>
    public long Shuffled { get; init; }

    /// <summary>Gets how many bytes the mappers handed on.</summary>
    public long ShuffledBytes { get; init; }

    /// <summary>Gets how often a mapper wrote pairs to disk because its memory was full.</summary>
    public long Spills { get; init; }

    /// <summary>Gets how many lines the result has.</summary>
    public long Keys { get; init; }

    /// <summary>Gets how large the result is.</summary>
    public long ResultBytes { get; init; }

    /// <summary>Gets the SHA-256 of the result, in lower-case hexadecimal digits.</summary>
    public string Sha256 { get; init; } = "";

    /// <summary>Gets how many second attempts were started beside a slow first one.</summary>
    public int Backups { get; init; }

    /// <summary>Gets how many tasks had to be done again because their worker, or their output, was lost.</summary>
    public int Repeated { get; init; }

    /// <summary>Gets how often somebody coordinated the job: more than once when a coordinator died.</summary>
    public int Attempts { get; init; }

    /// <summary>Gets how long it took from the first split on, in the coordination that ended it.</summary>
    public double ElapsedMs { get; init; }

    /// <summary>Gets how much of that was mapping.</summary>
    public double MapMs { get; init; }
}

/// <summary>What became of jobs: started = waiting + running + completed + failed + cancelled.</summary>
public readonly record struct MapReduceStats(long Started, long Waiting, long Running, long Completed, long Failed, long Cancelled);
