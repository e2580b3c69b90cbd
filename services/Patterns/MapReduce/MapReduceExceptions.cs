using System.Globalization;

namespace DistributedPatterns.MapReduce;

/// <summary>The base of what map-reduce throws for reasons of its own.</summary>
public abstract class MapReduceException(string message, Exception? inner = null) : Exception(message, inner);

/// <summary>No job of that name is registered.</summary>
public sealed class UnknownMapReduceJobException(string message) : MapReduceException(message);

/// <summary>A request is not accepted; the message says what is.</summary>
public sealed class MapReduceRequestException(string message) : MapReduceException(message);

/// <summary>There is no such input; the message names those there are.</summary>
public sealed class MapReduceInputException(string message) : MapReduceException(message);

/// <summary>An id belongs to a job that was asked for differently.</summary>
public sealed class MapReduceConflictException(string id) : MapReduceException($"Job '{id}' was asked for differently. Use another id for another job.");

/// <summary>No room for another job. Try again after one has ended.</summary>
public sealed class MapReduceFullException(int limit) : MapReduceException(
    string.Create(CultureInfo.InvariantCulture, $"{limit} of {limit} jobs are open. Try again when one has ended, or raise MaxJobs."))
{
    /// <summary>Gets how many jobs may be open at the same time.</summary>
    public int Limit { get; } = limit;
}

/// <summary>A job cannot be done: no further attempt would help.</summary>
public sealed class MapReduceJobException(string message, Exception? inner = null) : MapReduceException(message, inner);

/// <summary>The output of a committed task is not there any more, or cannot be read: the task has to be done again.</summary>
internal sealed class LostOutputException(int task, string message, Exception? inner = null) : MapReduceException(message, inner)
{
    public int Task => task;
}
