using DistributedPatterns.ProducerConsumer;

namespace DistributedPatterns.MapReduce.Coordination;

/// <summary>One task that is on the queue and not committed: its item, a second one beside it, and since when somebody has had it.</summary>
internal sealed class TaskWatch(IWorkQueue<TaskOrder> queue, string idPrefix, TaskOrder order)
{
    private long? _heldSince;
    private int _renewals; // an item was through, and nothing of it counted

    public bool HasBackup { get; private set; }

    private string Id => _renewals == 0 ? idPrefix : $"{idPrefix}-r{_renewals}";

    private string BackupId => Id + "-b";

    /// <summary>Puts the task on the queue. An item that is there already, of an earlier coordinator, is the same.</summary>
    public ValueTask<EnqueueResult> EnqueueAsync(CancellationToken cancellationToken) => queue.EnqueueAsync(new WorkItem<TaskOrder>(order) { Id = Id, Priority = 1 }, cancellationToken);

    /// <summary>Puts a second item on the queue, ahead of tasks that nobody has begun.</summary>
    public async Task BackUpAsync(CancellationToken cancellationToken)
    {
        HasBackup = true;
        await queue.EnqueueAsync(new WorkItem<TaskOrder>(order) { Id = BackupId }, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Puts the task on the queue anew.</summary>
    public async Task RenewAsync(CancellationToken cancellationToken)
    {
        (_renewals, HasBackup, _heldSince) = (_renewals + 1, false, null);
        await EnqueueAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Looks where the items are.</summary>
    /// <exception cref="MapReduceJobException">All attempts are used up.</exception>
    public async Task<TaskSight> LookAsync(TimeProvider time, CancellationToken cancellationToken)
    {
        var first = await queue.FindAsync(Id, cancellationToken).ConfigureAwait(false);
        var second = HasBackup ? await queue.FindAsync(BackupId, cancellationToken).ConfigureAwait(false) : null;
        if (first?.State != WorkItemState.Leased) _heldSince = null;
        else _heldSince ??= time.GetTimestamp();
        if (first is { HasEnded: false } || second is { HasEnded: false })
            return new TaskSight(IsOpen: true, _heldSince is { } since ? time.GetElapsedTime(since) : TimeSpan.Zero);
        if (first?.State == WorkItemState.Dead)
            throw new MapReduceJobException($"Task {order.Task} was given up after {first.Attempts} attempts, the last of which ended by: {first.Note}.");
        return default;
    }

    /// <summary>Takes the items off the queue; who has one is asked to stop.</summary>
    public async Task CancelAsync()
    {
        await queue.CancelAsync(Id).ConfigureAwait(false);
        if (HasBackup) await queue.CancelAsync(BackupId).ConfigureAwait(false);
    }
}

/// <param name="IsOpen">Whether the queue will still hand it out, or somebody has it.</param>
/// <param name="Held">For how long somebody has had its first item, as far as was seen.</param>
internal readonly record struct TaskSight(bool IsOpen, TimeSpan Held);
