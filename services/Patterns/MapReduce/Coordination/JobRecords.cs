using System.Globalization;
using System.Text.Json.Serialization;
using DistributedPatterns.MapReduce.Engine;

namespace DistributedPatterns.MapReduce.Coordination;

/// <summary>The two phases, each by the number of its key in <c>mapreduce.lua</c>.</summary>
internal enum TaskPhase
{
    Map = 2,
    Reduce = 3,
}

/// <summary>What lies on the queue of jobs.</summary>
internal sealed record JobOrder(string Job);

/// <summary>What lies on the queues of tasks: what a worker needs to know beyond the job's request.</summary>
/// <param name="Task">A split's or a partition's number.</param>
/// <param name="InputLength">How long the file was when it was cut.</param>
/// <param name="InputVersion">Changes when it is written.</param>
internal sealed record TaskOrder(string Job, MapReduceRequest Request, int Task, long InputLength, long InputVersion);

/// <summary>How a job ended.</summary>
/// <param name="Result">Which attempt's result it is.</param>
internal sealed record JobEnd(MapReduceState State, string? Error, MapReduceReport? Report, string? Result);

/// <summary>What Redis knows of a job.</summary>
internal sealed record JobRecord(MapReduceRequest Request, JobEnd? End, TaskProgress Maps, TaskProgress Reduces);

/// <summary>An attempt that counts.</summary>
/// <param name="Attempt">The fence under which it was handed out: part of its files' names.</param>
/// <param name="Try">Which hand-out it was, from 1.</param>
/// <param name="Took">How long it took.</param>
/// <param name="Counters">Of a mapper.</param>
internal readonly record struct TaskCommit(string Attempt, int Try, TimeSpan Took, MapCounters Counters)
{
    public string ToText() => string.Create(CultureInfo.InvariantCulture, $"{Try} {(long)Took.TotalMilliseconds} {Counters.ToText()}");

    public static TaskCommit Parse(string text)
    {
        var parts = text.Split(' ', 4);
        return new TaskCommit(
            parts[0], int.Parse(parts[1], CultureInfo.InvariantCulture), TimeSpan.FromMilliseconds(long.Parse(parts[2], CultureInfo.InvariantCulture)), MapCounters.Parse(parts[3]));
    }
}

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, UseStringEnumConverter = true)]
[JsonSerializable(typeof(JobOrder))]
[JsonSerializable(typeof(TaskOrder))]
[JsonSerializable(typeof(JobEnd))]
internal sealed partial class MapReduceJson : JsonSerializerContext;
