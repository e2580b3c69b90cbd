namespace DistributedPatterns.ProducerConsumer;

/// <summary>What a producer hands in.</summary>
/// <param name="Payload">What the consumer gets.</param>
public readonly record struct WorkItem<T>(T Payload)
{
    /// <summary>Gets the key by which a second enqueue of the same work is recognised; <see langword="null"/> for a new one.</summary>
    /// <value>1 to 128 characters, no control characters.</value>
    public string? Id { get; init; }

    /// <summary>Gets how long the item waits before it can be delivered. It takes its place at once.</summary>
    /// <value>From zero to 365 days.</value>
    public TimeSpan Delay { get; init; }

    /// <summary>Gets how urgent the item is: one of priority p stands behind p × <see cref="WorkQueueOptions.PriorityStep"/> later ones of priority 0.</summary>
    /// <value>From 0, the most urgent, to 15.</value>
    public int Priority { get; init; }

    /// <summary>Gets how long after the enqueue the item may still be delivered; later it is dead (<c>ttl</c>). <see langword="null"/> for ever.</summary>
    /// <value>From 1 millisecond to 365 days.</value>
    public TimeSpan? TimeToLive { get; init; }

    /// <summary>Gets whether somebody will wait for the item's end (<see cref="IWorkQueue{T}.WaitForEndAsync"/>).</summary>
    public bool Watched { get; init; }
}
