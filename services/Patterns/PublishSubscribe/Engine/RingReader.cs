namespace DistributedPatterns.PublishSubscribe.Engine;

/// <summary>What a ring does about a reader that is behind.</summary>
internal enum RingReaderKind
{
    /// <summary>Nothing: it is overtaken.</summary>
    Overtaken,

    /// <summary>Writers wait for it.</summary>
    WaitedFor,

    /// <summary>Nothing, but it passes over nothing: once it is overtaken it reads no more here.</summary>
    GoesBack,

    /// <summary>It gets copies, as many as it has room for, and misses what comes after.</summary>
    KeepsOldest,
}

/// <summary>A reader's cursor in a <see cref="TopicRing{TSlot,T}"/>. One thread at a time.</summary>
internal sealed class RingReader<TSlot, T>(TopicRing<TSlot, T> ring, RingReaderKind kind, int capacity, TimeSpan waitLimit, long cursor) where TSlot : struct, IRingSlot<T>
{
    private readonly Queue<(long Place, TSlot Slot)> _copies = new(); // of one that keeps the oldest; under the ring's lock
    private long _cursor = cursor;
    private long _blockedAt = -1;
    private long _blockedSince;

    public RingReaderKind Kind => kind;

    public long Cursor => Volatile.Read(ref _cursor);

    /// <summary>Gets how far writers may go while this reader is waited for.</summary>
    public long Limit => Cursor + capacity;

    /// <summary>Gets whether it was waited for in vain.</summary>
    public bool IsCutOff { get; set; }

    public bool HasLeft { get; set; }

    /// <summary>Gets what it sleeps on; under the ring's lock.</summary>
    public TaskCompletionSource? Sleep { get; set; }

    /// <summary>Gets whether there is something to read or to be told.</summary>
    public bool HasNews => ring.Head > _cursor;

    /// <summary>Gets whether more has come than it may keep.</summary>
    public bool IsOvertaken => FirstAllowed() > _cursor;

    public void Wake()
    {
        Sleep?.TrySetResult();
        Sleep = null;
    }

    /// <summary>Returns how long it may still stand where it stands while writers wait; under the ring's lock.</summary>
    public TimeSpan PatienceLeft(TimeProvider clock)
    {
        if (_blockedAt != Cursor) (_blockedAt, _blockedSince) = (Cursor, clock.GetTimestamp());
        return waitLimit - clock.GetElapsedTime(_blockedSince);
    }

    /// <summary>Keeps a copy if there is room; under the ring's lock.</summary>
    public void Offer(long place, TSlot slot)
    {
        if (_copies.Count < capacity) _copies.Enqueue((place, slot));
    }

    /// <summary>Passes over what it may no longer read.</summary>
    /// <param name="next">What comes after that; taken already. Without <paramref name="isTaken"/> only its position counts: up to there all is missing.</param>
    /// <param name="isTaken">Whether there was a next one.</param>
    /// <returns>Whether anything was passed over.</returns>
    public bool TrySkip(out TopicItem<T> next, out bool isTaken)
    {
        (next, isTaken) = (default, false);
        if (kind == RingReaderKind.KeepsOldest) return TrySkipUncopied(out next, out isTaken);
        if (kind == RingReaderKind.GoesBack || !IsOvertaken) return false;
        do _cursor = Math.Max(_cursor, FirstAllowed());
        while (Take(new Span<TopicItem<T>>(ref next)) <= 0);
        return isTaken = true;
    }

    /// <summary>Takes what is there, without a hole in it.</summary>
    /// <returns>How many; -1 when it was overtaken meanwhile.</returns>
    public int Take(Span<TopicItem<T>> items)
    {
        if (kind == RingReaderKind.KeepsOldest) return TakeCopies(items);
        var from = _cursor;
        var count = (int)Math.Min(items.Length, ring.Head - from);
        if (count <= 0) return 0;
        for (var i = 0; i < count; i++) items[i] = ring.ItemAt(from + i);
        Volatile.ReadBarrier(); // the copies first, then whether they were in time
        if (ring.Overwritten > from) return -1;
        Volatile.Write(ref _cursor, from + count);
        if (kind == RingReaderKind.WaitedFor) ring.MadeRoom();
        return count;
    }

    private long FirstAllowed()
    {
        var allowed = ring.Head - capacity;
        return Math.Max(allowed, ring.Overwritten);
    }

    private bool TrySkipUncopied(out TopicItem<T> next, out bool isTaken)
    {
        (next, isTaken) = (default, false);
        lock (ring.Gate)
        {
            if (_copies.TryPeek(out var copy))
            {
                if (copy.Place == _cursor) return false;
                _copies.Dequeue();
                (next, isTaken, _cursor) = (copy.Slot.ToItem(copy.Place, ring.Generation), true, copy.Place + 1);
                return true;
            }
            if (ring.Head == _cursor) return false;
            (next, _cursor) = (TopicItem<T>.Mark(TopicItemKind.Dropped, ring.LastWritten()), ring.Head);
            return true;
        }
    }

    private int TakeCopies(Span<TopicItem<T>> items)
    {
        var count = 0;
        lock (ring.Gate)
        {
            while (count < items.Length && _copies.TryPeek(out var copy) && copy.Place == _cursor)
            {
                items[count++] = _copies.Dequeue().Slot.ToItem(_cursor, ring.Generation);
                _cursor++;
            }
        }
        return count;
    }
}
