using System.Globalization;
using System.Text.RegularExpressions;

namespace DistributedPatterns.MapReduce;

/// <summary>Asks for a job.</summary>
/// <param name="Job">The job's name.</param>
/// <param name="Input">A sample's name, or the path of a file below the data folder.</param>
public sealed partial record MapReduceRequest(string Job, string Input)
{
    /// <summary>The most splits of an input: a larger file gets larger splits.</summary>
    public const int MaxSplits = 2_048;

    /// <summary>The most partitions.</summary>
    public const int MaxReducers = 64;

    /// <summary>The most splits that are mapped at a time.</summary>
    public const int MaxMappers = 256;

    /// <summary>The most parameters of a job.</summary>
    public const int MaxParameters = 16;

    /// <summary>The most characters that all parameters have together, names included.</summary>
    public const int MaxParameterChars = 4_096;

    private static readonly IReadOnlyDictionary<string, string> s_none = new Dictionary<string, string>();

    /// <summary>Gets the id under which the job is found; a new one unless set.</summary>
    /// <value>1 to 100 letters, digits, dots, hyphens and underscores, no dot first.</value>
    public string? Id { get; init; }

    /// <summary>Gets the job's own parameters.</summary>
    public IReadOnlyDictionary<string, string> Parameters { get; init; } = s_none;

    /// <summary>Gets how many bytes a split has.</summary>
    /// <value>From 1 KiB to 1 GiB; 16 MiB unless set, more where the input would have more than <see cref="MaxSplits"/>.</value>
    public long? SplitBytes { get; init; }

    /// <summary>Gets how many splits may be mapped at a time.</summary>
    /// <value>From 1 to <see cref="MaxMappers"/>; unless set as many as there are processors, or across processes 32, of which each worker takes what it can.</value>
    public int? Mappers { get; init; }

    /// <summary>Gets into how many partitions the keys are divided, each reduced by itself.</summary>
    /// <value>From 1 to <see cref="MaxReducers"/>; 4 unless set.</value>
    public int? Reducers { get; init; }

    /// <summary>Gets whether a mapper folds the values of a key before they are sent on.</summary>
    /// <value><see cref="CombinerUse.On"/> unless set; off shows what it saves.</value>
    public CombinerUse Combiner { get; init; }

    /// <summary>Gets what a record that the job refuses means.</summary>
    /// <value><see cref="BadRecordPolicy.Stop"/> unless set.</value>
    public BadRecordPolicy OnBadRecord { get; init; }

    /// <summary>Checks the ranges.</summary>
    /// <exception cref="MapReduceRequestException">One is not kept.</exception>
    internal void Check()
    {
        Within(SplitBytes, 1L << 10, 1L << 30, "splitBytes");
        Within(Mappers, 1, MaxMappers, "mappers");
        Within(Reducers, 1, MaxReducers, "reducers");
        if (Id is not null && !JobId().IsMatch(Id)) throw new MapReduceRequestException("A job's id takes 1 to 100 letters, digits, '.', '-' and '_', and does not begin with a dot.");
        if (Parameters.Count > MaxParameters) throw new MapReduceRequestException($"{Parameters.Count} parameters are more than {MaxParameters}.");
        // They go with every task, and a task has to fit on the queue.
        if (Parameters.Sum(one => one.Key.Length + one.Value.Length) > MaxParameterChars) throw new MapReduceRequestException($"All parameters together have more than {MaxParameterChars} characters.");
    }

    /// <summary>Returns whether two requests ask for the same, ids apart.</summary>
    internal bool AsksTheSameAs(MapReduceRequest other) =>
        this with { Id = null, Parameters = s_none } == other with { Id = null, Parameters = s_none }
        && Parameters.Count == other.Parameters.Count
        && Parameters.All(one => other.Parameters.TryGetValue(one.Key, out var value) && value == one.Value);

    private static void Within(long? value, long min, long max, string name)
    {
        if (value < min || value > max)
            throw new MapReduceRequestException(string.Create(CultureInfo.InvariantCulture, $"'{name}' takes a whole number from {min} to {max}, not {value}."));
    }

    [GeneratedRegex(@"\A[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}\z")]
    private static partial Regex JobId();
}

/// <summary>Whether a mapper folds the values of a key before they are sent on.</summary>
public enum CombinerUse
{
    /// <summary>One pair a key, split and spill.</summary>
    On,

    /// <summary>Every pair that was emitted.</summary>
    Off,
}

/// <summary>What a record that the job refuses means.</summary>
public enum BadRecordPolicy
{
    /// <summary>The job fails; the message names the record's offset.</summary>
    Stop,

    /// <summary>The record is left out and counted.</summary>
    Skip,
}
