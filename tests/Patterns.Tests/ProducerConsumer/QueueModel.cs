using DistributedPatterns.ProducerConsumer;

namespace DistributedPatterns.Tests.ProducerConsumer;

/// <summary>What the queue should do, as plainly as it can be said: one list, searched for everything.</summary>
internal sealed class QueueModel(WorkQueueOptions options)
{
    private readonly List<Entry> _all = []; // in the order of their ends where they have ended
    private long _in, _token, _rejected, _redelivered, _fenced, _replayed, _failed, _done, _cancelled, _dropped;
    private int _now;

    public sealed class Entry
    {
        public required string Id;
        public WorkItemState State;
        public long Place, Token;
        public int Attempts, Due;
        public RedeliveryReason Why;
        public SettleVerb? EndedBy;
        public bool CancelAsked;
    }

    public void Advance(int ms)
    {
        _now += ms;
        foreach (var entry in _all.Where(entry => entry.State == WorkItemState.Delayed && entry.Due <= _now)) entry.State = WorkItemState.Ready;
    }

    public (EnqueueOutcome, WorkItemState?) Enqueue(string id, int priority, int delay)
    {
        if (Find(id) is { } known) return known.State == WorkItemState.Dead ? (EnqueueOutcome.Dead, null) : (EnqueueOutcome.Duplicate, known.State);
        if (Depth == options.Capacity)
        {
            var waiting = Ready().ToList();
            if (waiting.Count == 0) waiting = [.. _all.Where(entry => entry.State == WorkItemState.Delayed).OrderBy(entry => entry.Due).ThenBy(entry => entry.Id, StringComparer.Ordinal)];
            var victim = options.WhenFull switch { QueueFullPolicy.DropOldest => waiting.FirstOrDefault(), QueueFullPolicy.DropNewest => waiting.LastOrDefault(), _ => null };
            if (victim is null)
            {
                _rejected++;
                return (EnqueueOutcome.Full, null);
            }
            (victim.Token, victim.EndedBy) = (0, null);
            End(victim, WorkItemState.Dropped);
        }
        var entry = new Entry { Id = id, Place = ++_in + (priority * options.PriorityStep) };
        _all.Add(entry);
        Wait(entry, delay);
        return (EnqueueOutcome.Accepted, null);
    }

    public List<(string Id, int Attempt, RedeliveryReason Why)> Reserve(int max)
    {
        var taken = Ready().Take(max).ToList();
        foreach (var entry in taken)
        {
            if (entry.Why != RedeliveryReason.None) _redelivered++;
            (entry.State, entry.EndedBy, entry.Token) = (WorkItemState.Leased, null, ++_token);
            entry.Attempts++;
        }
        return [.. taken.Select(entry => (entry.Id, entry.Attempts, entry.Why))];
    }

    /// <summary>Gets the model's token of the item that was handed out last under an id.</summary>
    public long TokenOf(string id) => Find(id)!.Token;

    public SettleOutcome Settle(SettleVerb verb, string id, long token, int delay)
    {
        if (Find(id) is not { } entry) return SettleOutcome.Unknown;
        if (entry.State != WorkItemState.Leased && entry.Token == token && entry.EndedBy == verb)
        {
            return entry.State is WorkItemState.Dead or WorkItemState.Dropped ? SettleOutcome.DeadLettered
                : entry.State == WorkItemState.Cancelled ? SettleOutcome.Cancelled : SettleOutcome.Settled;
        }
        if (entry.State != WorkItemState.Leased || entry.Token != token)
        {
            _fenced++;
            return SettleOutcome.Stale;
        }
        entry.EndedBy = verb;
        if (verb is SettleVerb.Ack or SettleVerb.Fail)
        {
            if (verb == SettleVerb.Fail) _failed++;
            End(entry, WorkItemState.Done);
            return SettleOutcome.Settled;
        }
        if (verb == SettleVerb.DeadLetter) return Bury(entry);
        if (verb == SettleVerb.Release) entry.Attempts--;
        entry.Why = verb == SettleVerb.Release ? RedeliveryReason.Released : RedeliveryReason.Nacked;
        if (entry.CancelAsked)
        {
            End(entry, WorkItemState.Cancelled);
            return SettleOutcome.Cancelled;
        }
        if (verb == SettleVerb.Nack && entry.Attempts >= options.MaxAttempts) return Bury(entry);
        Wait(entry, verb == SettleVerb.Nack ? delay : 0);
        return SettleOutcome.Settled;
    }

    public CancelOutcome Cancel(string id)
    {
        if (Find(id) is not { } entry) return CancelOutcome.Unknown;
        if (entry.State == WorkItemState.Leased)
        {
            entry.CancelAsked = true;
            return CancelOutcome.Requested;
        }
        if (entry.State == WorkItemState.Cancelled) return CancelOutcome.Cancelled;
        if (entry.State is not (WorkItemState.Ready or WorkItemState.Delayed)) return CancelOutcome.Ended;
        (entry.Token, entry.EndedBy) = (0, null);
        End(entry, WorkItemState.Cancelled);
        return CancelOutcome.Cancelled;
    }

    public ReplayResult Replay(int max)
    {
        var replayed = 0;
        foreach (var entry in _all.Where(entry => entry.State == WorkItemState.Dead).Take(max).ToList())
        {
            if (Depth == options.Capacity) break;
            (entry.Token, entry.EndedBy, entry.Attempts, entry.Why) = (0, null, 0, RedeliveryReason.Replayed);
            Wait(entry, 0);
            (replayed, _replayed) = (replayed + 1, _replayed + 1);
        }
        return new(replayed, Count(WorkItemState.Dead));
    }

    public WorkItemState? StateOf(string id) => Find(id)?.State;

    public WorkQueueLedger Ledger() => new(
        _in, Count(WorkItemState.Ready), Count(WorkItemState.Delayed), Count(WorkItemState.Leased), Count(WorkItemState.Dead), _dropped, _done, _cancelled)
    {
        Rejected = _rejected,
        Redelivered = _redelivered,
        Fenced = _fenced,
        Replayed = _replayed,
        Failed = _failed,
    };

    private int Depth => Count(WorkItemState.Ready) + Count(WorkItemState.Delayed) + Count(WorkItemState.Leased);

    private int Count(WorkItemState state) => _all.Count(entry => entry.State == state);

    private Entry? Find(string id) => _all.Find(entry => entry.Id == id);

    private IEnumerable<Entry> Ready() => _all.Where(entry => entry.State == WorkItemState.Ready).OrderBy(entry => entry.Place).ThenBy(entry => entry.Id, StringComparer.Ordinal);

    private void Wait(Entry entry, int delay) => (entry.State, entry.Due) = (delay > 0 ? WorkItemState.Delayed : WorkItemState.Ready, _now + delay);

    private SettleOutcome Bury(Entry entry)
    {
        entry.State = WorkItemState.Dead;
        _all.Remove(entry);
        _all.Add(entry);
        if (Count(WorkItemState.Dead) > options.DeadCapacity) End(_all.First(other => other.State == WorkItemState.Dead), WorkItemState.Dropped);
        return SettleOutcome.DeadLettered;
    }

    private void End(Entry entry, WorkItemState state)
    {
        entry.State = state;
        if (state == WorkItemState.Done) _done++;
        else if (state == WorkItemState.Cancelled) _cancelled++;
        else _dropped++;
        _all.Remove(entry);
        _all.Add(entry);
        if (_all.Count(Ended) > options.DoneKeep) _all.Remove(_all.First(Ended));

        static bool Ended(Entry one) => one.State is WorkItemState.Done or WorkItemState.Cancelled or WorkItemState.Dropped;
    }
}
