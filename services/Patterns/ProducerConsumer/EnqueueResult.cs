namespace DistributedPatterns.ProducerConsumer;

/// <summary>What became of an enqueue. "No" is an answer here, not an exception; <c>EnqueueOrThrowAsync</c> throws instead.</summary>
/// <param name="Id">The item's id: the given one or the new one.</param>
/// <param name="Outcome">What happened.</param>
/// <param name="Depth">How many items the queue held afterwards: waiting, delayed and in hand.</param>
/// <param name="Existing">With <see cref="EnqueueOutcome.Duplicate"/>: the state of the item that has the id.</param>
public readonly record struct EnqueueResult(string Id, EnqueueOutcome Outcome, int Depth, WorkItemState? Existing = null);

/// <summary>The answers to an enqueue.</summary>
public enum EnqueueOutcome
{
    /// <summary>The item is in the queue.</summary>
    Accepted,

    /// <summary>No room, also after the wait that the policy allows. Try again later.</summary>
    Full,

    /// <summary>The id is in the queue, or ended lately. Nothing was added; the work is done once.</summary>
    Duplicate,

    /// <summary>The id is among the dead letters. Only a replay revives it.</summary>
    Dead,

    /// <summary>The queue takes nothing more.</summary>
    Sealed,
}

/// <summary>What a full queue does with the next item. All of it is counted in the ledger.</summary>
public enum QueueFullPolicy
{
    /// <summary>The producer waits for room: back-pressure.</summary>
    Wait,

    /// <summary>The producer is told <see cref="EnqueueOutcome.Full"/> at once.</summary>
    Reject,

    /// <summary>The item that would be delivered next is dropped. Full only when nothing waits, all being in hand.</summary>
    DropOldest,

    /// <summary>The item that would be delivered last is dropped, not the new one. Full only when nothing waits, all being in hand.</summary>
    DropNewest,
}
