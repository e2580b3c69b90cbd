namespace DistributedPatterns.ProducerConsumer;

/// <summary>What every queue can do besides.</summary>
public static class WorkQueueExtensions
{
    /// <summary>Adds one item, or throws. A duplicate is no error: its work is done once.</summary>
    /// <returns>The item's id, and whether it was accepted or a duplicate.</returns>
    /// <exception cref="WorkQueueFullException">No room.</exception>
    /// <exception cref="WorkQueueRefusedException">The queue is sealed, or the id is among the dead letters.</exception>
    /// <exception cref="PayloadTooLargeException">The payload is larger than what the queue carries.</exception>
    public static async ValueTask<EnqueueResult> EnqueueOrThrowAsync<T>(this IWorkQueue<T> queue, WorkItem<T> item, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(queue);
        var started = TimeProvider.System.GetTimestamp();
        var result = await queue.EnqueueAsync(item, cancellationToken).ConfigureAwait(false);
        return result.Outcome switch
        {
            EnqueueOutcome.Accepted or EnqueueOutcome.Duplicate => result,
            EnqueueOutcome.Full => throw new WorkQueueFullException(queue.Name, queue.Capacity, result.Depth, TimeProvider.System.GetElapsedTime(started)),
            _ => throw new WorkQueueRefusedException(queue.Name, result),
        };
    }
}
