namespace DistributedPatterns.PublishSubscribe.Engine;

/// <summary>Of one that wants the latest alone: it reads all there is, for the latest message that it listens to may lie behind others.</summary>
internal partial class RingSubscription<TSlot, T>
{
    private readonly TopicItem<T>[] _scratch;
    private readonly Queue<TopicItem<T>> _newest = new(); // what is still to be handed out
    private TopicPosition _handedOut;

    private int ReadLatest(Span<TopicItem<T>> items)
    {
        if (_newest.Count == 0) Collapse();
        var count = 0;
        while (count < items.Length && _newest.TryDequeue(out var item))
        {
            items[count++] = item;
            _handedOut = item.Position;
        }
        return count;
    }

    /// <summary>Reads what is there, and keeps of the messages the newest alone; the others are dropped, and told even if no message is left.</summary>
    private void Collapse()
    {
        var (newest, missed, overtakenAt) = (default(TopicItem<T>?), 0L, default(TopicPosition));
        for (var rounds = (Ring.Count / _scratch.Length) + 2; rounds > 0; rounds--) // publishers may be as fast as this
        {
            var count = Read(_scratch);
            if (count == 0) break;
            foreach (var item in _scratch.AsSpan(0, count))
            {
                if (item.Kind == TopicItemKind.Dropped)
                {
                    if (newest is not null) HandOut(); // nobody knows whether what was overtaken since held a newer one
                    (missed, overtakenAt) = (missed + item.Missed, item.Position);
                    continue;
                }
                if (!item.IsMessage) HandOut();
                else if (newest is not null) (_received, _dropped, missed) = (_received - 1, _dropped + 1, missed + 1);
                newest = item;
                if (!item.IsMessage) HandOut();
            }
        }
        HandOut();

        void HandOut()
        {
            if (missed > 0) _newest.Enqueue(TopicItem<T>.Mark(TopicItemKind.Dropped, newest is { } kept ? Before(kept) : overtakenAt, missed));
            if (newest is { } item) _newest.Enqueue(item);
            (newest, missed) = (null, 0);
        }
    }
}
