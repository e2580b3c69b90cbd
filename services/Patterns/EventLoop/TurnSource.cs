using System.Runtime.InteropServices;

namespace DistributedPatterns.EventLoop;

/// <summary>One source of events of a loop, in order, bounded. Any number of threads may post.</summary>
public sealed class TurnSource<T>
{
    private const int Few = 64;
    private const int PauseAfterFew = 20; // some hundred nanoseconds

    private readonly Lock _gate = new();
    private readonly TurnLoop<T> _loop;
    private readonly Queue<Waiter> _waiters = new();
    private T[] _incoming;
    private T[] _taken; // the loop's
    private int _count;
    private int _next; // the loop's, as the next two
    private int _end;
    private (int Index, long Since) _probe = (-1, 0);
    private LoopCount _unhandled; // of those taken
    private int _room; // at least
    private int _isWaitedFor;
    private long _since;
    private long _posted;
    private bool _isClosed;
    private bool _isAbandoned;

    internal TurnSource(TurnLoop<T> loop, int capacity, int weight)
    {
        (_loop, Capacity, Weight) = (loop, capacity, weight);
        _incoming = new T[Math.Min(capacity, 16)];
        _taken = new T[Math.Min(capacity, 16)];
    }

    public int Capacity { get; }

    public int Weight { get; }

    /// <summary>Gets how many events wait, or have their turn.</summary>
    public int Count
    {
        get
        {
            lock (_gate) return _count + Volatile.Read(ref _unhandled.Value);
        }
    }

    internal bool HasWork
    {
        get
        {
            if (Volatile.Read(ref _isAbandoned)) return false;
            if (_next < _end || Volatile.Read(ref _count) > 0) return true;
            lock (_gate) return _count > 0 || _waiters.Count > 0;
        }
    }

    /// <summary>Posts an event.</summary>
    /// <returns>Whether there was room, and nobody who waits for room.</returns>
    /// <exception cref="EventLoopStoppedException">The loop was stopped.</exception>
    public bool TryPost(T e)
    {
        lock (_gate)
        {
            if (!HasRoom(1)) return false;
            Add(e);
        }
        _loop.Wake();
        return true;
    }

    /// <summary>Posts events, all or none, with nothing between them.</summary>
    /// <param name="posted">How many were posted to this source so far, with these.</param>
    /// <inheritdoc cref="TryPost(T)"/>
    public bool TryPost(ReadOnlySpan<T> events, out long posted)
    {
        lock (_gate)
        {
            posted = 0;
            if (!HasRoom(events.Length)) return false;
            posted = Add(events);
        }
        _loop.Wake();
        return true;
    }

    /// <summary>Posts an event once there is room. Those who wait are let in when half of it is free, in the order in which they came.</summary>
    /// <exception cref="EventLoopStoppedException">The loop was stopped.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled before there was room.</exception>
    public ValueTask PostAsync(T e, CancellationToken cancellationToken = default) => TryPost(e) ? default : new ValueTask(PostAsync([e], cancellationToken).AsTask());

    /// <summary>Posts events once there is room for all of them.</summary>
    /// <returns>How many were posted to this source so far, with these.</returns>
    /// <inheritdoc cref="PostAsync(T, CancellationToken)"/>
    public ValueTask<long> PostAsync(T[] events, CancellationToken cancellationToken = default)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(events.Length, Capacity);
        if (cancellationToken.IsCancellationRequested) return ValueTask.FromCanceled<long>(cancellationToken);
        Waiter? waiter = null;
        var posted = 0L;
        lock (_gate)
        {
            if (HasRoom(events.Length))
            {
                posted = Add(events);
            }
            else
            {
                _waiters.Enqueue(waiter = new Waiter(events));
                Volatile.Write(ref _isWaitedFor, 1);
            }
        }
        _loop.Wake();
        return waiter is null ? new(posted) : new(WaitAsync(waiter, cancellationToken));
    }

    /// <summary>Gets how many were posted so far.</summary>
    internal long Posted
    {
        get
        {
            lock (_gate) return _posted;
        }
    }

    internal int Run(int most)
    {
        if (Volatile.Read(ref _isAbandoned)) return 0;
        // Somebody is posting: let him post some more, instead of meeting him at the lock for each event.
        if (_next == _end && _end is > 0 and < Few) Thread.SpinWait(PauseAfterFew);
        if (_next == _end && !Take())
        {
            if (Volatile.Read(ref _isWaitedFor) == 1) AdmitWaiters();
            if (!Take()) return 0;
        }
        var from = _next;
        var to = Math.Min(_end, from + most);
        if (_probe.Index >= from && _probe.Index < to) _loop.Timings!.Waited(_loop.Clock.GetElapsedTime(_probe.Since));
        _next = _loop.Handle(_taken, from, to, ref _unhandled.Value);
        // Not at once: who is let in one by one costs a change of threads each.
        if (Volatile.Read(ref _isWaitedFor) == 1 && Volatile.Read(ref _count) + _unhandled.Value <= Capacity / 2) AdmitWaiters();
        return to - from;
    }

    internal void Close()
    {
        lock (_gate)
        {
            _isClosed = true;
            while (_waiters.TryDequeue(out var waiter)) waiter.TrySetException(new EventLoopStoppedException());
        }
    }

    internal int Abandon()
    {
        lock (_gate)
        {
            Volatile.Write(ref _isAbandoned, true);
            return _count + Volatile.Read(ref _unhandled.Value);
        }
    }

    private static async Task<long> WaitAsync(Waiter waiter, CancellationToken cancellationToken)
    {
        using var leaving = cancellationToken.UnsafeRegister(static (state, token) => ((Waiter)state!).TrySetCanceled(token), waiter);
        return await waiter.Task.ConfigureAwait(false);
    }

    private bool HasRoom(int events)
    {
        if (_isClosed) throw new EventLoopStoppedException();
        if (_waiters.Count > 0) return false;
        // Looked at when need be only: the loop writes that count with every turn, on another core.
        if (_room < events) _room = Capacity - _count - Volatile.Read(ref _unhandled.Value);
        return _room >= events;
    }

    private void Add(T e)
    {
        if (_count == 0 && _loop.Timings is not null) _since = _loop.Clock.GetTimestamp();
        if (_count == _incoming.Length) Array.Resize(ref _incoming, Math.Min(Capacity, _count * 2));
        _incoming[_count++] = e;
        _posted++;
        _room--;
    }

    private long Add(ReadOnlySpan<T> events)
    {
        foreach (var e in events) Add(e);
        return _posted;
    }

    private bool Take()
    {
        lock (_gate)
        {
            if (_count == 0)
            {
                (_next, _end) = (0, 0);
                return false;
            }
            (_taken, _incoming) = (_incoming, _taken);
            (_next, _end, _count) = (0, _count, 0);
            _probe = (_loop.Timings is null ? -1 : 0, _since);
            Volatile.Write(ref _unhandled.Value, _end);
            return true;
        }
    }

    private void AdmitWaiters()
    {
        lock (_gate)
        {
            while (_waiters.TryPeek(out var waiter) && _count + _unhandled.Value + waiter.Events.Length <= Capacity)
            {
                _waiters.Dequeue();
                // One that has left is passed over.
                if (waiter.TrySetResult(_posted + waiter.Events.Length)) Add(waiter.Events);
            }
            _room = Capacity - _count - _unhandled.Value;
            if (_waiters.Count == 0) Volatile.Write(ref _isWaitedFor, 0);
        }
    }

    private sealed class Waiter(T[] events) : TaskCompletionSource<long>(TaskCreationOptions.RunContinuationsAsynchronously)
    {
        public T[] Events => events;
    }
}

/// <summary>What the loop writes with every turn, on a cache line of its own: posters would wait for it else.</summary>
[StructLayout(LayoutKind.Explicit, Size = 192)]
internal struct LoopCount
{
    [FieldOffset(64)]
    public int Value;
}
