namespace DistributedPatterns.ProducerConsumer;

/// <summary>Where an item is. It is in exactly one of these states.</summary>
public enum WorkItemState
{
    /// <summary>It can be delivered.</summary>
    Ready,

    /// <summary>It can be delivered later.</summary>
    Delayed,

    /// <summary>A consumer holds it.</summary>
    Leased,

    /// <summary>It is among the dead letters.</summary>
    Dead,

    /// <summary>A consumer acknowledged it.</summary>
    Done,

    /// <summary>It was cancelled before it was done.</summary>
    Cancelled,

    /// <summary>It made room for another one: in the queue by policy, or among the dead letters.</summary>
    Dropped,
}

/// <summary>What is known of an item.</summary>
/// <param name="Id">Its id.</param>
/// <param name="State">Where it is.</param>
/// <param name="Attempts">How often it was handed out, releases not counted.</param>
/// <param name="CancelRequested">Whether its holder was asked to stop.</param>
/// <param name="Note">How it came to its state, for people: <c>nack timeout</c>, <c>expired</c>.</param>
/// <param name="Result">With <see cref="WorkItemState.Done"/>: what it was acknowledged with.</param>
public sealed record WorkItemStatus(string Id, WorkItemState State, int Attempts, bool CancelRequested, string Note, ReadOnlyMemory<byte> Result = default)
{
    /// <summary>Gets whether the item came to its end; a dead one can be replayed.</summary>
    public bool HasEnded => State is WorkItemState.Dead or WorkItemState.Done or WorkItemState.Cancelled or WorkItemState.Dropped;
}

/// <summary>What <see cref="IWorkQueue{T}.CancelAsync"/> did.</summary>
public enum CancelOutcome
{
    /// <summary>The item is cancelled.</summary>
    Cancelled,

    /// <summary>Its holder was asked to stop; it may still be done.</summary>
    Requested,

    /// <summary>Too late: it is done, dead or dropped.</summary>
    Ended,

    /// <summary>The queue does not know the id, or has forgotten it.</summary>
    Unknown,
}

/// <summary>An item that nobody will get unless it is replayed.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Payload">What it carries; the default when <paramref name="Reason"/> says that it cannot be read.</param>
/// <param name="Reason">Why: <c>nack …</c> or <c>expired</c> at the last attempt, <c>dead …</c> by its holder, <c>ttl</c>, <c>never-delivered</c> (no holder was ever heard of: look for a crash, not at the payload).</param>
/// <param name="Attempts">How often it was handed out.</param>
/// <param name="Age">How long it has been dead.</param>
public sealed record DeadLetter<T>(string Id, T? Payload, string Reason, int Attempts, TimeSpan Age);

/// <summary>What a replay did.</summary>
/// <param name="Replayed">How many went back into the queue.</param>
/// <param name="Left">How many dead letters are left.</param>
public readonly record struct ReplayResult(int Replayed, int Left);
