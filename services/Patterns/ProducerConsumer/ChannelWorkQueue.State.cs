using System.Diagnostics;
using System.Runtime.CompilerServices;

namespace DistributedPatterns.ProducerConsumer;

// What is guarded by the gate: the same transitions as queue.lua, on objects.
public sealed partial class ChannelWorkQueue<T>
{
    private readonly Lock _gate = new();
    private readonly Dictionary<string, ChannelItem<T>> _items = new(StringComparer.Ordinal);
    private readonly IndexedHeap<ChannelItem<T>> _ready = new(0);  // by place
    private readonly IndexedHeap<ChannelItem<T>> _timed = new(1);  // by due time: delayed ones, and detached ones by the end of their lease
    private readonly IndexedHeap<ChannelItem<T>> _newest = new(2, lastFirst: true); // by place, last first; kept only where the newest may be dropped
    private readonly LinkedList<ChannelItem<T>> _dead = new();     // oldest first
    private readonly Queue<ChannelItem<T>> _ended = new();         // the window, oldest first
    private readonly LinkedList<ConsumerWait> _consumers = new();
    private readonly LinkedList<ProducerWait> _producers = new();
    private readonly long _keepTicks;
    private ITimer? _timer;
    private long _timerDue = long.MaxValue;
    private long _in, _done, _failed, _cancelled, _dropped, _rejected, _redelivered, _expired, _fenced, _replayed, _token, _newIds;
    private int _delayed, _leased;
    private bool _sealed, _disposed;

    private int Depth => _ready.Count + _delayed + _leased;

    private bool IsDrained => _sealed && Depth == 0 && _producers.Count == 0;

    // Returns a wait when the caller has to wait for room.
    private ProducerWait? Add(WorkItem<T> item, StrongBox<ActivityContext>? creator, out EnqueueResult result)
    {
        if (_producers.Count == 0 && TryAdd(item, creator, out result)) return null;
        if (_producers.Count > 0 && Refuse(item) is { } refused)
        {
            result = refused;
            return null;
        }
        result = new(item.Id ?? "", EnqueueOutcome.Full, Depth);
        if (_options.WhenFull == QueueFullPolicy.Wait && _options.FullWait != TimeSpan.Zero)
        {
            var wait = new ProducerWait(item, creator);
            wait.Node = _producers.AddLast(wait);
            return wait;
        }
        _rejected++;
        return null;
    }

    // False when there is no room.
    private bool TryAdd(WorkItem<T> item, StrongBox<ActivityContext>? creator, out EnqueueResult result)
    {
        if (Refuse(item) is { } refused)
        {
            result = refused;
            return true;
        }
        if (Depth >= _options.Capacity) MoveDue(); // a detached lease that ran out may have died of it
        if (Depth >= _options.Capacity && !TryDropOne())
        {
            result = default;
            return false;
        }
        var now = _clock.GetTimestamp();
        var added = new ChannelItem<T>(item.Id ?? NewId(), item.Payload)
        {
            Place = ++_in + ((long)item.Priority * _options.PriorityStep),
            Born = now,
            ExpiresAt = item.TimeToLive is { } ttl ? now + Ticks(ttl) : long.MaxValue,
            IsWatched = item.Watched,
            Creator = creator,
        };
        _items.Add(added.Id, added);
        Wait(added, item.Delay, now);
        result = new(added.Id, EnqueueOutcome.Accepted, Depth);
        return true;
    }

    // What is known of the id, or that nothing is taken: answers that need no room.
    private EnqueueResult? Refuse(WorkItem<T> item)
    {
        if (item.Id is { } id && Find(id) is { } existing)
        {
            return existing.State == WorkItemState.Dead
                ? new(id, EnqueueOutcome.Dead, Depth) : new EnqueueResult(id, EnqueueOutcome.Duplicate, Depth, existing.State);
        }
        return _sealed ? new EnqueueResult(item.Id ?? "", EnqueueOutcome.Sealed, Depth) : null;
    }

    private bool TryDropOne()
    {
        var victim = _options.WhenFull switch
        {
            QueueFullPolicy.DropOldest => _ready.Count > 0 ? _ready.First : Delayed().FirstOrDefault(),
            QueueFullPolicy.DropNewest => _newest.Count > 0 ? _newest.First : Delayed().LastOrDefault(),
            _ => null,
        };
        if (victim is null) return false;
        Unlink(victim);
        (victim.Token, victim.EndedBy, victim.Note) = (0, null, "dropped");
        End(victim, WorkItemState.Dropped);
        return true;
    }

    // Sorted for this alone: it is rare that a queue is full of items none of which is due. A detached one in the same heap is in somebody's hands.
    private IEnumerable<ChannelItem<T>> Delayed() => _timed.Nodes.Where(node => node.Item.State == WorkItemState.Delayed)
        .OrderBy(node => node.Key).ThenBy(node => node.Item.Id, StringComparer.Ordinal).Select(node => node.Item);

    private List<Delivery<T>> Take(int max)
    {
        if (_ready.Count == 0) return [];
        var now = _clock.GetTimestamp();
        if (max == 1)
        {
            while (_ready.Count > 0)
                if (HandOut(now) is { } one) return [one];
            return [];
        }
        var deliveries = new List<Delivery<T>>(Math.Min(max, _ready.Count));
        while (deliveries.Count < max && _ready.Count > 0)
            if (HandOut(now) is { } delivery) deliveries.Add(delivery);
        return deliveries;
    }

    // Hands the first item out, or buries it when it has outlived its time.
    private Delivery<T>? HandOut(long now)
    {
        var item = _ready.TakeFirst();
        _newest.Remove(item);
        if (item.ExpiresAt <= now)
        {
            (item.Token, item.EndedBy) = (0, null);
            Bury(item, "ttl");
            return null;
        }
        if (item.Why != RedeliveryReason.None) _redelivered++;
        (item.State, item.Token, item.EndedBy) = (WorkItemState.Leased, ++_token, null);
        _leased++;
        return item.Holder = Receive(item, ++item.Attempts, now);
    }

    private Delivery<T> Receive(ChannelItem<T> item, int attempt, long now)
    {
        var delivery = new Delivery<T>(this, item.Id, item.Token, attempt, item.Payload)
        {
            Redelivery = item.Why,
            Age = _clock.GetElapsedTime(item.Born, now),
            TimeLeft = item.ExpiresAt == long.MaxValue ? null : _clock.GetElapsedTime(now, item.ExpiresAt),
            Creator = item.Creator,
            IsWatched = item.IsWatched,
        };
        _telemetry.Consumed(delivery);
        return delivery;
    }

    private SettleOutcome Settle(Settlement one)
    {
        if (Find(one.Id) is not { } item) return SettleOutcome.Unknown;
        if (item.State != WorkItemState.Leased && item.Token == one.Token && item.EndedBy == one.Verb)
        {
            return item.State switch
            {
                WorkItemState.Dead or WorkItemState.Dropped => SettleOutcome.DeadLettered,
                WorkItemState.Cancelled => SettleOutcome.Cancelled,
                _ => SettleOutcome.Settled,
            };
        }
        if (item.State != WorkItemState.Leased || item.Token != one.Token)
        {
            if (one.Verb != SettleVerb.Extend) _fenced++;
            return SettleOutcome.Stale;
        }
        if (one.Verb == SettleVerb.Extend)
        {
            // Whoever still has the handle needs no lease: it is in this process.
            if (item.Holder is null or { HasEnded: true }) Arm(item, _clock.GetTimestamp() + Ticks(one.Time));
            return item.CancelRequested ? SettleOutcome.Cancelled : SettleOutcome.Settled;
        }
        Unlink(item);
        item.EndedBy = one.Verb;
        switch (one.Verb)
        {
            case SettleVerb.Ack or SettleVerb.Fail:
                (item.Note, item.Result) = (one.Verb == SettleVerb.Ack ? "ack" : "fail", one.Result.ToArray());
                if (one.Verb == SettleVerb.Fail) _failed++;
                End(item, WorkItemState.Done);
                return SettleOutcome.Settled;
            case SettleVerb.DeadLetter:
                Bury(item, "dead " + one.Reason);
                return SettleOutcome.DeadLettered;
            case SettleVerb.Release:
                item.Attempts--;
                (item.Note, item.Why) = ("release", RedeliveryReason.Released);
                break;
            default:
                (item.Note, item.Why) = ("nack " + one.Reason, RedeliveryReason.Nacked);
                break;
        }
        return Return(item, one.Verb == SettleVerb.Nack ? one.Time : TimeSpan.Zero, isCounted: one.Verb == SettleVerb.Nack);
    }

    // An item that its holder gave up: cancelled, dead or waiting again.
    private SettleOutcome Return(ChannelItem<T> item, TimeSpan delay, bool isCounted)
    {
        if (item.CancelRequested)
        {
            End(item, WorkItemState.Cancelled);
            return SettleOutcome.Cancelled;
        }
        if (isCounted && item.Attempts >= _options.MaxAttempts)
        {
            Bury(item, item.Note);
            return SettleOutcome.DeadLettered;
        }
        Wait(item, delay, delay > TimeSpan.Zero ? _clock.GetTimestamp() : 0);
        return SettleOutcome.Settled;
    }

    private CancelOutcome Cancel(string id)
    {
        if (Find(id) is not { } item) return CancelOutcome.Unknown;
        switch (item.State)
        {
            case WorkItemState.Leased:
                item.CancelRequested = true;
                if (item.Holder is { } holder) _ = ObserveAsync(holder.RequestCancelAsync());
                return CancelOutcome.Requested;
            case WorkItemState.Ready or WorkItemState.Delayed:
                Unlink(item);
                (item.Token, item.EndedBy, item.Note) = (0, null, "cancelled");
                End(item, WorkItemState.Cancelled);
                return CancelOutcome.Cancelled;
            default:
                return item.State == WorkItemState.Cancelled ? CancelOutcome.Cancelled : CancelOutcome.Ended;
        }
    }

    private ReplayResult Replay(ChannelItem<T>[] items)
    {
        var replayed = 0;
        foreach (var item in items)
        {
            if (Depth >= _options.Capacity) break;
            if (item.State != WorkItemState.Dead) continue;
            _dead.Remove(item.Grave!);
            (item.Grave, item.Token, item.EndedBy, item.Attempts, item.ExpiresAt, item.Why, item.Note) = (null, 0, null, 0, long.MaxValue, RedeliveryReason.Replayed, "");
            Wait(item, TimeSpan.Zero, 0);
            (replayed, _replayed) = (replayed + 1, _replayed + 1);
        }
        Dispatch();
        return new(replayed, _dead.Count);
    }

    private void Wait(ChannelItem<T> item, TimeSpan delay, long now)
    {
        if (delay > TimeSpan.Zero)
        {
            item.State = WorkItemState.Delayed;
            _delayed++;
            Arm(item, now + Ticks(delay));
            return;
        }
        item.State = WorkItemState.Ready;
        _ready.Add(item, item.Place);
        if (_options.WhenFull == QueueFullPolicy.DropNewest) _newest.Add(item, item.Place);
    }

    private void Unlink(ChannelItem<T> item)
    {
        if (item.State == WorkItemState.Delayed) _delayed--;
        if (item.State == WorkItemState.Leased) _leased--;
        _ready.Remove(item);
        _newest.Remove(item);
        _timed.Remove(item);
        item.Holder?.End();
        item.Holder = null;
    }

    private void Bury(ChannelItem<T> item, string reason)
    {
        (item.State, item.Note, item.EndedAt) = (WorkItemState.Dead, reason, _clock.GetTimestamp());
        item.Grave = _dead.AddLast(item);
        Announce(item);
        if (_dead.Count <= _options.DeadCapacity) return;
        var oldest = _dead.First!.Value;
        _dead.RemoveFirst();
        oldest.Grave = null;
        End(oldest, WorkItemState.Dropped);
    }

    private void End(ChannelItem<T> item, WorkItemState state)
    {
        (item.State, item.Payload, item.EndedAt, item.Creator) = (state, default!, _clock.GetTimestamp(), null);
        if (state == WorkItemState.Done) _done++;
        else if (state == WorkItemState.Cancelled) _cancelled++;
        else _dropped++;
        _ended.Enqueue(item);
        Announce(item);
        Forget(item.EndedAt);
    }

    private ChannelItem<T>? Find(string id)
    {
        var item = _items.GetValueOrDefault(id);
        if (item?.State is not (WorkItemState.Done or WorkItemState.Cancelled or WorkItemState.Dropped)) return item;
        Forget(_clock.GetTimestamp());
        return _items.GetValueOrDefault(id);
    }

    private void Forget(long now)
    {
        while (_ended.Count > _options.DoneKeep || (_ended.TryPeek(out var oldest) && now - oldest.EndedAt > _keepTicks))
            _items.Remove(_ended.Dequeue().Id);
    }

    private static void Announce(ChannelItem<T> item)
    {
        item.End?.TrySetResult(item.Status);
        item.End = null;
    }

    private WorkQueueLedger Ledger() => new(_in, _ready.Count, _delayed, _leased, _dead.Count, _dropped, _done, _cancelled)
    {
        Failed = _failed,
        Rejected = _rejected,
        Redelivered = _redelivered,
        Expired = _expired,
        Fenced = _fenced,
        Replayed = _replayed,
        Sealed = _sealed,
        OldestAge = _ready.Count > 0 ? _clock.GetElapsedTime(_ready.First.Born) : TimeSpan.Zero,
    };

    private long Ticks(TimeSpan time) => (long)(time.TotalSeconds * _clock.TimestampFrequency);
}
