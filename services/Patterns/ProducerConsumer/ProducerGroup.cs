namespace DistributedPatterns.ProducerConsumer;

/// <summary>Several producers, one completion: seals the queue when all that joined are through and the group itself is disposed.</summary>
/// <remarks>
/// The group counts as one of them, so a fast producer that ends before the next one joins seals nothing. Producers in several processes
/// have a group each only if each has a queue of its own; else whoever knows that all are through calls <see cref="IWorkQueue{T}.SealAsync"/>.
/// </remarks>
public sealed class ProducerGroup<T>(IWorkQueue<T> queue) : IAsyncDisposable
{
    private int _open = 1;
    private int _disposed;

    /// <summary>Registers a producer; dispose what is returned when it is through.</summary>
    /// <exception cref="InvalidOperationException">The queue was sealed because everybody was through.</exception>
    public Producer Join()
    {
        for (var open = Volatile.Read(ref _open); open > 0;)
        {
            var seen = Interlocked.CompareExchange(ref _open, open + 1, open);
            if (seen == open) return new Producer(this);
            open = seen;
        }
        throw new InvalidOperationException($"All producers of queue '{queue.Name}' were through, and it is sealed. Join before the group is disposed.");
    }

    /// <summary>Says that nobody joins any more. Seals the queue now, or with the end of the last producer.</summary>
    public ValueTask DisposeAsync() => Interlocked.Exchange(ref _disposed, 1) == 0 ? LeaveAsync() : ValueTask.CompletedTask;

    private ValueTask LeaveAsync() => Interlocked.Decrement(ref _open) == 0 ? queue.SealAsync() : ValueTask.CompletedTask;

    /// <summary>One who produces.</summary>
    public sealed class Producer : IAsyncDisposable
    {
        private readonly ProducerGroup<T> _group;
        private int _disposed;

        internal Producer(ProducerGroup<T> group) => _group = group;

        /// <inheritdoc cref="IWorkQueue{T}.EnqueueAsync(WorkItem{T}, CancellationToken)"/>
        public ValueTask<EnqueueResult> EnqueueAsync(WorkItem<T> item, CancellationToken cancellationToken = default)
        {
            ObjectDisposedException.ThrowIf(Volatile.Read(ref _disposed) != 0, this);
            return _group.Queue.EnqueueAsync(item, cancellationToken);
        }

        public ValueTask DisposeAsync() => Interlocked.Exchange(ref _disposed, 1) == 0 ? _group.LeaveAsync() : ValueTask.CompletedTask;
    }

    private IWorkQueue<T> Queue => queue;
}
