namespace DistributedPatterns.Pipeline;

/// <summary>The base of what a pipeline throws for reasons of its own.</summary>
public abstract class PipelineException(string message, Exception? inner = null) : Exception(message, inner);

/// <summary>No pipeline of that name is registered.</summary>
public sealed class UnknownPipelineException(string name, IReadOnlyCollection<string> known)
    : PipelineException($"There is no pipeline '{PipelineInputs.Shorten(name)}'. Registered are: {string.Join(", ", known)}.")
{
    public IReadOnlyCollection<string> Known { get; } = known;
}

/// <summary>A pipeline's source refuses its input: no such file, not a number.</summary>
public sealed class PipelineInputException(string message) : PipelineException(message);

/// <summary>No room for another run. Try again after one has ended.</summary>
public sealed class PipelineFullException(int limit, int open)
    : PipelineException($"Pipelines are full: {open} of {limit} runs are open. Try again when one has ended, or raise MaxRuns.")
{
    /// <summary>Gets how many runs may be open at the same time.</summary>
    public int Limit { get; } = limit;
}

/// <summary>A stage's code threw for an item, and the stage's policy is to stop.</summary>
public sealed class PipelineStageException(string stage, long? number, string reason, Exception? inner = null)
    : PipelineException($"Stage '{stage}' failed{(number is { } n ? $" at item {n}" : "")}: {reason}", inner)
{
    public string Stage { get; } = stage;

    /// <summary>Gets the item's place in the source, from 1, or <see langword="null"/> when it was not one item that failed.</summary>
    public long? Number { get; } = number;

    /// <summary>Gets the message of what the stage's code threw.</summary>
    public string Reason { get; } = reason;
}

/// <summary>A run ended without a result: aborted, or failed for a reason that is no stage's.</summary>
public sealed class PipelineRunException(string message) : PipelineException(message);
