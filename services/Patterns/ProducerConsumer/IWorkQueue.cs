namespace DistributedPatterns.ProducerConsumer;

/// <summary>A bounded queue between producers and consumers: an item leaves it when a consumer says so, not when one takes it.</summary>
/// <remarks>
/// What both variants keep:
/// <list type="bullet">
/// <item>Bounded: waiting, delayed and held items together never pass <see cref="WorkQueueOptions.Capacity"/>. What happens when it is full
/// is <see cref="WorkQueueOptions.WhenFull"/>, and it is counted.</item>
/// <item>At least once: an item that was accepted is delivered until a consumer acknowledges it, it is cancelled, or it is dead.</item>
/// <item>One holder at a time, named by a <see cref="Delivery.Token"/> that only rises; a settlement with another token is refused and counted.</item>
/// <item>Order: by enqueue and <see cref="WorkItem{T}.Priority"/>, kept over redelivery. An item of lower priority is overtaken by a bounded
/// number of later ones, so it cannot starve.</item>
/// <item>Idempotent by id: enqueueing an id again while it is known (and <see cref="WorkQueueOptions.DoneKeepFor"/> after its end) adds nothing.</item>
/// <item>Nothing is lost in silence: in = ready + delayed + leased + dead + dropped + done + cancelled, in every reading of <see cref="LedgerAsync"/>.</item>
/// </list>
/// <para><see cref="ChannelWorkQueue{T}"/> lives and dies with its process and holds a delivery until it is settled.
/// <see cref="RedisWorkQueue{T}"/> outlives its processes at the price of a lease: a holder that is slow, frozen or cut off longer than its
/// lease loses the item to another one, so an effect outside of the queue may happen twice. Compare the token there.</para>
/// All members are thread safe. A cancelled call throws <see cref="OperationCanceledException"/> with the caller's token; whether an enqueue or a
/// settlement that was on its way then counted is known by doing it again with the same id.
/// </remarks>
/// <typeparam name="T">What the queue carries.</typeparam>
public interface IWorkQueue<T> : IAsyncDisposable
{
    /// <summary>Gets the queue's name, unique among the queues of a system.</summary>
    string Name { get; }

    /// <summary>Gets how many items the queue holds at most: waiting, delayed and in hand together.</summary>
    int Capacity { get; }

    /// <summary>Adds one item. With <see cref="QueueFullPolicy.Wait"/> it returns when there was room, or as Full after <see cref="WorkQueueOptions.FullWait"/>.</summary>
    /// <exception cref="PayloadTooLargeException">The payload is larger than what the queue carries.</exception>
    ValueTask<EnqueueResult> EnqueueAsync(WorkItem<T> item, CancellationToken cancellationToken = default);

    /// <summary>Adds many items in few round trips, in order. Each has an outcome of its own, at its own index; there is no all or nothing.</summary>
    /// <exception cref="PayloadTooLargeException">A payload is larger than what the queue carries; nothing was added.</exception>
    ValueTask<IReadOnlyList<EnqueueResult>> EnqueueAsync(IReadOnlyList<WorkItem<T>> items, CancellationToken cancellationToken = default);

    /// <summary>Waits for at least one item and takes at most <paramref name="max"/>. Empty only when the queue is sealed and nothing is left in it.</summary>
    /// <remarks>Hold no more than you can work on: every item in hand is kept from other consumers until it is settled.</remarks>
    /// <param name="max">From 1 to 1,000.</param>
    /// <param name="cancellationToken">Ends the waiting. What was on its way to this caller goes back without a counted attempt.</param>
    ValueTask<IReadOnlyList<Delivery<T>>> ReserveAsync(int max, CancellationToken cancellationToken = default);

    /// <summary>Takes what is there now, at most <paramref name="max"/> items; perhaps none.</summary>
    /// <param name="max">From 1 to 1,000.</param>
    /// <param name="cancellationToken">What was on its way to this caller goes back without a counted attempt.</param>
    ValueTask<IReadOnlyList<Delivery<T>>> TryReserveAsync(int max, CancellationToken cancellationToken = default);

    /// <summary>Settles many deliveries in few round trips, each with an outcome at its own index. For one of them use the delivery itself.</summary>
    ValueTask<IReadOnlyList<SettleOutcome>> SettleAsync(IReadOnlyList<Settlement> settlements, CancellationToken cancellationToken = default);

    /// <summary>Cancels an item: at once when it waits, by <see cref="Delivery.CancelRequested"/> when somebody holds it.</summary>
    ValueTask<CancelOutcome> CancelAsync(string id, CancellationToken cancellationToken = default);

    /// <summary>Reads what became of an item, or <see langword="null"/> when the id is unknown or forgotten.</summary>
    ValueTask<WorkItemStatus?> FindAsync(string id, CancellationToken cancellationToken = default);

    /// <summary>Reads the bytes that an item was acknowledged with: empty when without, <see langword="null"/> when it is not done, unknown or forgotten.</summary>
    ValueTask<ReadOnlyMemory<byte>?> GetResultAsync(string id, CancellationToken cancellationToken = default);

    /// <summary>Waits until an item is done, dead, cancelled or dropped; <see langword="null"/> when the id is unknown or forgotten.</summary>
    /// <remarks>Enqueue the item with <see cref="WorkItem{T}.Watched"/>: then its end rings, else it is seen by the next poll.</remarks>
    ValueTask<WorkItemStatus?> WaitForEndAsync(string id, CancellationToken cancellationToken = default);

    /// <summary>Lists dead letters, the oldest first.</summary>
    /// <param name="offset">How many to pass over.</param>
    /// <param name="count">From 1 to 1,000.</param>
    /// <param name="cancellationToken">Ends the call.</param>
    ValueTask<IReadOnlyList<DeadLetter<T>>> PeekDeadAsync(int offset, int count, CancellationToken cancellationToken = default);

    /// <summary>Puts the oldest dead letters back to their old places with their attempts at zero, as far as there is room.</summary>
    /// <param name="max">From 1 to 1,000.</param>
    /// <param name="cancellationToken">Ends the call.</param>
    ValueTask<ReplayResult> ReplayDeadAsync(int max, CancellationToken cancellationToken = default);

    /// <summary>Puts these dead letters back to their old places with their attempts at zero, as far as there is room; ids that are not dead are passed over.</summary>
    /// <param name="ids">At most 1,000.</param>
    /// <param name="cancellationToken">Ends the call.</param>
    ValueTask<ReplayResult> ReplayDeadAsync(IReadOnlyList<string> ids, CancellationToken cancellationToken = default);

    /// <summary>Ends the intake: enqueues are answered with <see cref="EnqueueOutcome.Sealed"/>, and consumers end once everything is settled. Repeatable.</summary>
    /// <remarks>With several producers let a <see cref="ProducerGroup{T}"/> do it when the last of them is through.</remarks>
    ValueTask SealAsync(CancellationToken cancellationToken = default);

    /// <summary>Counts everything in one atomic reading.</summary>
    ValueTask<WorkQueueLedger> LedgerAsync(CancellationToken cancellationToken = default);
}
