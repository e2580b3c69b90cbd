namespace DistributedPatterns.ProducerConsumer;

/// <summary>Where everything is that the queue ever accepted, in one atomic reading.</summary>
/// <param name="In">How many items were accepted.</param>
/// <param name="Ready">Can be delivered.</param>
/// <param name="Delayed">Can be delivered later.</param>
/// <param name="Leased">Are in a consumer's hands.</param>
/// <param name="Dead">Lie among the dead letters.</param>
/// <param name="Dropped">Made room for others, in the queue or among the dead letters.</param>
/// <param name="Done">Were acknowledged.</param>
/// <param name="Cancelled">Were cancelled.</param>
public sealed record WorkQueueLedger(long In, long Ready, long Delayed, long Leased, long Dead, long Dropped, long Done, long Cancelled)
{
    /// <summary>Gets how many of <see cref="Done"/> were settled as failed.</summary>
    public long Failed { get; init; }

    /// <summary>Gets how many enqueues found no room. They are no part of <see cref="In"/>.</summary>
    public long Rejected { get; init; }

    /// <summary>Gets how many deliveries were not the first of their item.</summary>
    public long Redelivered { get; init; }

    /// <summary>Gets how many leases ran out.</summary>
    public long Expired { get; init; }

    /// <summary>Gets how many settlements were refused because another one had the item by then.</summary>
    public long Fenced { get; init; }

    /// <summary>Gets how many dead letters were put back.</summary>
    public long Replayed { get; init; }

    /// <summary>Gets how long the item that is next in line has been in the queue; zero when none is ready.</summary>
    public TimeSpan OldestAge { get; init; }

    /// <summary>Gets whether the queue takes nothing more.</summary>
    public bool Sealed { get; init; }

    /// <summary>Gets how many items count against the capacity.</summary>
    public long Depth => Ready + Delayed + Leased;

    /// <summary>Gets whether every item that went in is accounted for.</summary>
    public bool Balances => In == Ready + Delayed + Leased + Dead + Dropped + Done + Cancelled;
}
