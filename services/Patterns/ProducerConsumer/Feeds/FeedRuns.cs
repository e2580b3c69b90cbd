namespace DistributedPatterns.ProducerConsumer.Feeds;

/// <summary>Starts feeds and watches them; producer and consumers may be in this process or in others.</summary>
public sealed class FeedRuns
{
    /// <summary>The queue of <see cref="FeedOrder"/>s.</summary>
    public const string OrderQueue = "feeds";

    /// <summary>The queue of <see cref="FeedRecord"/>s.</summary>
    public const string RecordQueue = "feed-records";

    private static readonly TimeSpan s_lookEvery = TimeSpan.FromMilliseconds(50);

    private readonly IWorkQueue<FeedOrder> _orders;
    private readonly IWorkQueue<FeedRecord> _records;
    private readonly IFeedTally _tally;
    private readonly TimeProvider _time;

    internal FeedRuns(IWorkQueue<FeedOrder> orders, IWorkQueue<FeedRecord> records, IFeedTally tally, TimeProvider time) =>
        (_orders, _records, _tally, _time) = (orders, records, tally, time);

    /// <summary>Orders a feed. The same id again orders nothing, and reads what there is.</summary>
    /// <exception cref="ArgumentOutOfRangeException">A number is out of its range.</exception>
    /// <exception cref="WorkQueueFullException">Too many feeds are waiting.</exception>
    public async Task<FeedStatus> StartAsync(string id, FeedOrder order, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(order);
        ArgumentOutOfRangeException.ThrowIfLessThan(order.Count, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(order.Count, FeedOrder.MaxCount);
        ArgumentOutOfRangeException.ThrowIfLessThan(order.PerSecond, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(order.PerSecond, FeedOrder.MaxPerSecond);
        await _tally.OpenAsync(id, order, cancellationToken).ConfigureAwait(false); // first: who takes the order finds it
        await _orders.EnqueueOrThrowAsync(new WorkItem<FeedOrder>(order) { Id = id }, cancellationToken).ConfigureAwait(false);
        return await FindAsync(id, cancellationToken).ConfigureAwait(false) ?? new FeedStatus(id, FeedState.Waiting, order.Count, order.PerSecond, 0, 0, 0, "", null);
    }

    /// <summary>Reads how far a feed is, or <see langword="null"/> when it is unknown or was forgotten.</summary>
    public async Task<FeedStatus?> FindAsync(string id, CancellationToken cancellationToken = default)
    {
        // In this order: a record is noted before it leaves the queue, so what an empty queue has not noted nobody will.
        if (await _orders.FindAsync(id, cancellationToken).ConfigureAwait(false) is not { } order) return null;
        var isEmpty = order.State == WorkItemState.Done
            && await _records.LedgerAsync(cancellationToken).ConfigureAwait(false) is { Ready: 0, Delayed: 0, Leased: 0 };
        if (await _tally.ReadAsync(id, cancellationToken).ConfigureAwait(false) is not { } progress) return null;
        var state = order.State switch
        {
            WorkItemState.Ready or WorkItemState.Delayed => FeedState.Waiting,
            WorkItemState.Leased => FeedState.Producing,
            WorkItemState.Dead => FeedState.Failed,
            WorkItemState.Done when progress.Consumed == progress.Produced => FeedState.Done,
            WorkItemState.Done => isEmpty ? FeedState.Incomplete : FeedState.Draining,
            _ => FeedState.Cancelled,
        };
        // A producer that is stopped between the two has enqueued more than it has counted.
        var produced = Math.Max(progress.Produced, progress.Consumed);
        var status = new FeedStatus(id, state, progress.Order.Count, progress.Order.PerSecond, produced, progress.Consumed, order.Attempts, order.Note, null);
        return status.HasEnded ? status with { ByCategory = await _tally.CategoriesAsync(id, cancellationToken).ConfigureAwait(false) } : status;
    }

    /// <summary>Waits until a feed has ended; <see langword="null"/> when it is unknown or was forgotten.</summary>
    public async Task<FeedStatus?> WaitAsync(string id, CancellationToken cancellationToken = default)
    {
        while (true)
        {
            var status = await FindAsync(id, cancellationToken).ConfigureAwait(false);
            if (status is null || status.HasEnded) return status;
            await Task.Delay(s_lookEvery, _time, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Lets a feed end where it is.</summary>
    public ValueTask<CancelOutcome> CancelAsync(string id, CancellationToken cancellationToken = default) => _orders.CancelAsync(id, cancellationToken);
}
