namespace DistributedPatterns.WorkerPool;

/// <summary>The base of what a worker pool throws for reasons of its own.</summary>
public abstract class WorkerPoolException(string message, Exception? inner = null) : Exception(message, inner)
{
    // A name or an id can be as long as a request's body; the message that refuses it should not be.
    private protected static string Shorten(string text) => text.Length <= 80 ? text : text[..80] + "…";
}

/// <summary>No job of that name is registered.</summary>
public sealed class UnknownJobException(string name, IReadOnlyCollection<string> known)
    : WorkerPoolException($"There is no job '{Shorten(name)}'. Registered are: {string.Join(", ", known)}.")
{
    public IReadOnlyCollection<string> Known { get; } = known;
}

/// <summary>A job's input is not what the job takes.</summary>
public sealed class JobInputException(string job, string reason, Exception? inner = null)
    : WorkerPoolException($"Job '{job}' does not take this input: {reason}", inner)
{
    public string Job { get; } = job;
}

/// <summary>There was no room for another job.</summary>
public sealed class WorkerPoolFullException(int capacity, TimeSpan waited)
    : WorkerPoolException($"The worker pool is full: {capacity:N0} of {capacity:N0} jobs are open{(waited > TimeSpan.Zero ? $" after waiting {waited:c}" : "")}. "
        + "Raise Capacity, add workers or submit more slowly.")
{
    /// <summary>Gets how many jobs may be open at the same time.</summary>
    public int Capacity { get; } = capacity;

    /// <summary>Gets how long the submit waited for room.</summary>
    public TimeSpan Waited { get; } = waited;
}

/// <summary>The pool is being, or was, drained, and takes nothing on.</summary>
public sealed class WorkerPoolDrainingException() : WorkerPoolException("The worker pool is draining and takes no jobs on. Try another one, or again after it was resumed.");

/// <summary>The pool does not know the job: it never did, or it forgot it after the time that outcomes are kept.</summary>
public sealed class JobNotFoundException(string id) : WorkerPoolException($"There is no job '{Shorten(id)}', or it ended too long ago.")
{
    public string Id { get; } = id;
}

/// <summary>A job ended without a result: it failed, or is dead.</summary>
public sealed class JobFailedException(JobStatus status)
    : WorkerPoolException($"Job {status.Id} ({status.Job}) is {status.State} after {status.Attempts} attempts: {status.Error?.Kind}: {status.Error?.Message}")
{
    public JobStatus Status { get; } = status;
}

/// <summary>A job was cancelled, by id or because its pool was drained.</summary>
public sealed class JobCancelledException(JobStatus status)
    : WorkerPoolException($"Job {status.Id} ({status.Job}) was cancelled{(status.Error is { } error ? $": {error.Message}" : ".")}")
{
    public JobStatus Status { get; } = status;
}

/// <summary>An attempt took longer than its job allows.</summary>
public sealed class JobTimeLimitException(TimeSpan limit) : WorkerPoolException($"The attempt took longer than its limit of {limit:c} (TimeLimit).")
{
    public TimeSpan Limit { get; } = limit;
}

/// <summary>Thrown by a job that no further attempt can help: its input is wrong, what it needs is gone for good.</summary>
public sealed class JobRefusedException(string message, Exception? inner = null) : WorkerPoolException(message, inner);
