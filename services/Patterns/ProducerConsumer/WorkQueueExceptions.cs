using System.Globalization;

namespace DistributedPatterns.ProducerConsumer;

/// <summary>The base of what a queue throws for reasons of its own.</summary>
public abstract class WorkQueueException(string message, Exception? inner = null) : Exception(message, inner);

/// <summary>No room, and the caller asked for an exception.</summary>
public sealed class WorkQueueFullException(string queue, int limit, int depth, TimeSpan waited) : WorkQueueException(string.Create(
    CultureInfo.InvariantCulture, $"Queue '{queue}' is full: {depth:N0} of {limit:N0} items after waiting {waited:c}. Raise Capacity or slow the producers."))
{
    /// <summary>Gets how many items the queue holds at most.</summary>
    public int Limit { get; } = limit;

    public int Depth { get; } = depth;

    public TimeSpan Waited { get; } = waited;
}

/// <summary>A payload or a result is larger than the queue carries.</summary>
public sealed class PayloadTooLargeException(string queue, int limitBytes, int actualBytes) : WorkQueueException(string.Create(
    CultureInfo.InvariantCulture, $"Queue '{queue}' carries {limitBytes:N0} bytes an item, this one has {actualBytes:N0}. Store it elsewhere and enqueue where it lies."))
{
    public int LimitBytes { get; } = limitBytes;

    public int ActualBytes { get; } = actualBytes;
}

/// <summary>The queue takes nothing more, or the id is among the dead letters; for callers that asked for an exception.</summary>
public sealed class WorkQueueRefusedException(string queue, EnqueueResult result) : WorkQueueException(result.Outcome == EnqueueOutcome.Dead
    ? $"Queue '{queue}' has '{result.Id}' among its dead letters. Replay it there, or use a new id."
    : $"Queue '{queue}' is sealed and takes nothing more.")
{
    public EnqueueResult Result { get; } = result;
}
