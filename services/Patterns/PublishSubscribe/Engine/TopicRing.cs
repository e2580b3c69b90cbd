using System.Numerics;

namespace DistributedPatterns.PublishSubscribe.Engine;

/// <summary>What a ring keeps of a message.</summary>
internal interface IRingSlot<T>
{
    /// <summary>Makes of it what a subscriber reads.</summary>
    /// <param name="place">How many slots were written before this one.</param>
    /// <param name="generation">The ring's.</param>
    TopicItem<T> ToItem(long place, long generation);
}

/// <summary>The last messages of a topic, once for all who read them: one array, and a cursor for each reader.</summary>
/// <remarks>
/// Writing knows nothing of readers, with two exceptions: readers that are waited for set a limit, and readers that keep the oldest get copies. All others find out for
/// themselves that they were overtaken, so one that stands still costs nothing. Reading takes no lock: a slot is copied first, and then it is checked
/// whether a writer had come round to it meanwhile (a sequence lock). A copy that was torn is thrown away.
/// </remarks>
internal sealed class TopicRing<TSlot, T> where TSlot : struct, IRingSlot<T>
{
    private readonly TSlot[] _slots;
    private readonly int _mask;
    private readonly TimeProvider _clock;
    private readonly TopicPosition _begin;
    private readonly List<RingReader<TSlot, T>> _parked = [];
    private RingReader<TSlot, T>[] _waitedFor = [];
    private RingReader<TSlot, T>[] _copying = [];
    private TaskCompletionSource? _room;
    private bool _publishersWait;
    private bool _closed;
    private long _limit = long.MaxValue; // writers may go up to here before they look at those who are waited for
    private long _claimed; // slots below are written, or being written
    private long _head; // slots below are written

    /// <param name="begin">Where the topic stood before the first slot.</param>
    public TopicRing(int capacity, TopicPosition begin, TimeProvider clock)
    {
        _slots = new TSlot[Math.Max(2, BitOperations.RoundUpToPowerOf2((uint)capacity))];
        (_mask, _begin, _clock) = (_slots.Length - 1, begin, clock);
    }

    /// <summary>Gets the lock of writing, of joining and leaving, and of the copies.</summary>
    public Lock Gate { get; } = new();

    public long Generation => _begin.Generation;

    public long Head => Volatile.Read(ref _head);

    public bool IsClosed => Volatile.Read(ref _closed);

    /// <summary>Gets how many slots can be read.</summary>
    public int Count => (int)Math.Min(Head, _slots.Length);

    /// <summary>Gets how far slots may no longer be what they were.</summary>
    internal long Overwritten => Volatile.Read(ref _claimed) - _slots.Length;

    private int LargestChunk => _slots.Length / 2; // so that there is always something that is not being overwritten

    /// <summary>Returns where the topic stands after the last slot.</summary>
    public TopicPosition Last()
    {
        lock (Gate) return LastWritten();
    }

    /// <summary>Writes as many as may be written before somebody has to be waited for.</summary>
    /// <param name="end">How many slots were written before and with this.</param>
    /// <returns>How many of them; -1 when the ring is closed.</returns>
    public int TryWrite(ReadOnlySpan<TSlot> slots, out long end)
    {
        lock (Gate)
        {
            end = _head;
            if (_closed) return -1;
            if (_limit - _head < slots.Length) _limit = Limit();
            var count = (int)Math.Min(Math.Min(slots.Length, LargestChunk), _limit - _head);
            if (count <= 0) return 0;
            Write(slots[..count]);
            end = _head;
            return count;
        }
    }

    /// <summary>Writes all, whoever is overtaken.</summary>
    public void Push(ReadOnlySpan<TSlot> slots)
    {
        while (!slots.IsEmpty)
        {
            var chunk = slots[..Math.Min(slots.Length, LargestChunk)];
            lock (Gate) Write(chunk);
            slots = slots[chunk.Length..];
        }
    }

    /// <summary>Cuts off whoever has been waited for too long, and returns a task to wait for, or <see langword="null"/> when there is room.</summary>
    /// <param name="patience">How long to wait before asking again.</param>
    public Task? WaitForRoom(out TimeSpan patience)
    {
        lock (Gate)
        {
            Volatile.Write(ref _publishersWait, true);
            Interlocked.MemoryBarrier(); // a reader moves its cursor and then looks whether somebody waits
            patience = Timeout.InfiniteTimeSpan;
            foreach (var reader in _waitedFor)
            {
                if (reader.Limit > _head || _closed) continue;
                if (reader.PatienceLeft(_clock) is var left && left > TimeSpan.Zero)
                {
                    patience = patience == Timeout.InfiniteTimeSpan || left < patience ? left : patience;
                    continue;
                }
                reader.IsCutOff = true;
                Leave(reader);
            }
            _limit = Limit();
            if (_limit > _head || _closed) return null;
            return (_room ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).Task;
        }
    }

    /// <summary>Adds a reader that begins with the last slots.</summary>
    /// <param name="choose">Gets how many slots are written and the first that can be read; returns the first to read, or less than zero for no reader.</param>
    public RingReader<TSlot, T>? Join(RingReaderKind kind, int capacity, TimeSpan waitLimit, Func<long, long, long> choose)
    {
        lock (Gate)
        {
            var first = choose(_head, Math.Max(0, _head - _slots.Length));
            if (first < 0) return null;
            var reader = new RingReader<TSlot, T>(this, kind, capacity, waitLimit, first);
            if (kind == RingReaderKind.WaitedFor)
            {
                _waitedFor = [.. _waitedFor, reader];
                _limit = Math.Min(_limit, reader.Limit);
            }
            if (kind == RingReaderKind.KeepsOldest)
            {
                _copying = [.. _copying, reader];
                for (var place = reader.Cursor; place < _head; place++) reader.Offer(place, _slots[place & _mask]);
            }
            return reader;
        }
    }

    /// <summary>Returns the first slot behind a position, or <see langword="null"/> when the ring does not hold that position.</summary>
    public long? Find(TopicPosition position)
    {
        lock (Gate)
        {
            var oldest = Math.Max(0, _head - _slots.Length);
            for (var place = _head - 1; place >= oldest; place--)
            {
                var at = ItemAt(place).Position;
                if (IsSame(at)) return place + 1;
            }
            return oldest == 0 && IsSame(_begin) ? 0 : null;
        }

        bool IsSame(TopicPosition other) => other.Generation == position.Generation && other.Sequence == position.Sequence;
    }

    /// <summary>Returns a task that ends once there is something at the reader's cursor, or it has left, or the ring is closed.</summary>
    public Task ParkAsync(RingReader<TSlot, T> reader) => ParkAsync(reader, reader.Cursor);

    /// <inheritdoc cref="ParkAsync(RingReader{TSlot, T})"/>
    public Task ParkAsync(RingReader<TSlot, T> reader, long cursor)
    {
        lock (Gate)
        {
            if (_head > cursor || _closed || reader.HasLeft) return Task.CompletedTask;
            if (reader.Sleep is not null) return reader.Sleep.Task;
            _parked.Add(reader);
            return (reader.Sleep = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).Task;
        }
    }

    public void Remove(RingReader<TSlot, T> reader)
    {
        lock (Gate) Leave(reader);
    }

    /// <summary>Takes nothing more; what is there can be read.</summary>
    public void Close()
    {
        lock (Gate)
        {
            _closed = true;
            WakeReaders();
            WakePublishers();
        }
    }

    internal TopicItem<T> ItemAt(long place) => _slots[place & _mask].ToItem(place, Generation);

    internal TopicPosition LastWritten() => _head == 0 ? _begin : ItemAt(_head - 1).Position;

    /// <summary>Called by a reader that is waited for, when it has moved.</summary>
    internal void MadeRoom()
    {
        Interlocked.MemoryBarrier();
        if (!Volatile.Read(ref _publishersWait)) return;
        lock (Gate)
        {
            if ((_limit = Limit()) > _head) WakePublishers(); // else another one is still in the way
        }
    }

    private void Write(ReadOnlySpan<TSlot> slots)
    {
        var head = _head;
        Volatile.Write(ref _claimed, head + slots.Length);
        Volatile.WriteBarrier(); // readers must see that slots are being overwritten before they can see what overwrites them
        for (var i = 0; i < slots.Length; i++) _slots[(head + i) & _mask] = slots[i];
        foreach (var reader in _copying)
            for (var i = 0; i < slots.Length; i++) reader.Offer(head + i, slots[i]);
        Volatile.Write(ref _head, head + slots.Length);
        if (_parked.Count > 0) WakeReaders();
    }

    private long Limit()
    {
        var limit = long.MaxValue;
        foreach (var reader in _waitedFor) limit = Math.Min(limit, reader.Limit);
        return limit;
    }

    private void Leave(RingReader<TSlot, T> reader)
    {
        reader.HasLeft = true;
        reader.Wake();
        _parked.Remove(reader);
        if (reader.Kind == RingReaderKind.KeepsOldest) _copying = [.. _copying.Where(other => other != reader)];
        if (reader.Kind != RingReaderKind.WaitedFor) return;
        _waitedFor = [.. _waitedFor.Where(other => other != reader)];
        _limit = Limit();
        WakePublishers();
    }

    private void WakeReaders()
    {
        foreach (var reader in _parked) reader.Wake();
        _parked.Clear();
    }

    private void WakePublishers()
    {
        Volatile.Write(ref _publishersWait, false);
        _room?.TrySetResult();
        _room = null;
    }
}
