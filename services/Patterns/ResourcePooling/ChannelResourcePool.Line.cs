using DistributedPatterns.ResourcePooling.Engine;
using Microsoft.Extensions.Logging;

namespace DistributedPatterns.ResourcePooling;

/// <content>Those who wait for a slot, served in the order of arrival; and the end.</content>
public sealed partial class ChannelResourcePool<T>
{
    private readonly Lock _lineLock = new();
    private readonly LinkedList<Waiter> _line = new();
    private readonly TaskCompletionSource _drained = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _gate; // how many reasons there are not to pass by: each waiter, somebody elsewhere, the end
    private int _waiting;
    private bool _isWantedElsewhere;
    private Task? _closing;
    private long _exhausted;
    private long _cancelled;

    private bool IsGateOpen => Volatile.Read(ref _gate) == 0;

    private bool IsClosed => Volatile.Read(ref _closing) is not null;

    private int Waiting => Volatile.Read(ref _waiting);

    /// <summary>Closes the pool: nobody gets a resource any more; those that are lent have <see cref="ResourcePoolOptions.DrainLimit"/> to come back.</summary>
    public async ValueTask DisposeAsync()
    {
        Task closing;
        lock (_lineLock) closing = _closing ??= Task.Run(CloseAsync);
        await closing.ConfigureAwait(false);
    }

    /// <summary>Closes the gate for as long as callers of other processes wait: what is free here is theirs.</summary>
    internal void SetWanted(bool isWanted)
    {
        lock (_lineLock)
        {
            if (_isWantedElsewhere == isWanted) return;
            _isWantedElsewhere = isWanted;
            Interlocked.Add(ref _gate, isWanted ? 1 : -1);
        }
    }

    private async ValueTask<PooledResource<T>> AcquireInLineAsync(TimeSpan? limit, CancellationToken cancellationToken)
    {
        if (cancellationToken.IsCancellationRequested) Interlocked.Increment(ref _cancelled);
        cancellationToken.ThrowIfCancellationRequested();
        var (since, borrower) = (_time.GetTimestamp(), BorrowerOf());
        var most = limit ?? _options.AcquireLimit;
        Waiter? waiter = null;
        ResourceSlot<T>? slot;
        lock (_lineLock)
        {
            ObjectDisposedException.ThrowIf(IsClosed, this);
            slot = _line.Count == 0 ? TakeFree() : null;
            if (slot is null)
            {
                if (most <= TimeSpan.Zero || _line.Count >= _options.QueueLimit) throw Exhausted(_line.Count >= _options.QueueLimit ? TimeSpan.Zero : most, selfWaits: true);
                waiter = new Waiter(this, most, cancellationToken);
                waiter.Place = _line.AddLast(waiter);
                Volatile.Write(ref _waiting, _line.Count);
                // From here on whoever frees a slot serves the line; what was freed just before is looked at now.
                Interlocked.Increment(ref _gate);
                Serve();
            }
        }
        if (waiter is not null)
        {
            slot = await waiter.WaitAsync(_time).ConfigureAwait(false);
            _telemetry.Waited(_time.GetElapsedTime(since));
        }
        return await PrepareAsync(slot!, most, since, borrower, cancellationToken).ConfigureAwait(false);
    }

    private void ServeIfNeeded()
    {
        if (IsGateOpen) return;
        lock (_lineLock) Serve();
        if (IsClosed && _slots.All(slot => slot.Resource is null || slot.IsFree)) _drained.TrySetResult();
    }

    private void Serve()
    {
        while (_line.First is { } head && TakeFree() is { } slot)
        {
            Leave(head);
            head.Value.TrySetResult(slot);
        }
    }

    private ResourceSlot<T>? TakeFree()
    {
        while (FindFree() is { } slot)
            if (slot.TryCare()) return slot;
        return null;
    }

    private void Leave(LinkedListNode<Waiter> place)
    {
        _line.Remove(place);
        place.Value.Place = null;
        Volatile.Write(ref _waiting, _line.Count);
        Interlocked.Decrement(ref _gate);
    }

    private PoolExhaustedException Exhausted(TimeSpan limit, bool selfWaits)
    {
        Interlocked.Increment(ref _exhausted);
        _telemetry.Exhausted();
        var counts = Counts;
        return new PoolExhaustedException(Name, limit, selfWaits ? counts with { Waiting = counts.Waiting + 1 } : counts, _permits?.Describe());
    }

    private async Task CloseAsync()
    {
        lock (_lineLock)
        {
            Interlocked.Increment(ref _gate); // for good
            while (_line.First is { } head)
            {
                Leave(head);
                head.Value.TrySetException(new ObjectDisposedException(Name));
            }
        }
        await StopRoundAsync().ConfigureAwait(false);
        ServeIfNeeded();
        try
        {
            await _drained.Task.WaitAsync(_options.DrainLimit, _time).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            LogNotBack(Name, _slots.Count(slot => !slot.IsFree), _options.DrainLimit); // they are closed when they come back
        }
        foreach (var slot in _slots)
            if (slot.TryCare()) await ReleaseAsync(slot, slot.Resource is null ? null : CloseReason.Stopped).ConfigureAwait(false);
        _telemetry.Dispose();
    }

    [LoggerMessage(LogLevel.Warning, "Pool {Pool} is closed while {Count} loans are still out after {Limit}")]
    private partial void LogNotBack(string pool, int count, TimeSpan limit);

    private sealed class Waiter(ChannelResourcePool<T> pool, TimeSpan limit, CancellationToken caller) : TaskCompletionSource<ResourceSlot<T>>(TaskCreationOptions.RunContinuationsAsynchronously)
    {
        /// <summary>Gets or sets its place while it waits: who takes it out of the line decides what it gets.</summary>
        public LinkedListNode<Waiter>? Place { get; set; }

        public async Task<ResourceSlot<T>> WaitAsync(TimeProvider time)
        {
            var timer = time.CreateTimer(static waiter => ((Waiter)waiter!).GiveUp(isCancelled: false), this, limit, Timeout.InfiniteTimeSpan);
            await using var _ = timer.ConfigureAwait(false);
            var registration = caller.UnsafeRegister(static waiter => ((Waiter)waiter!).GiveUp(isCancelled: true), this);
            await using var __ = registration.ConfigureAwait(false);
            return await Task.ConfigureAwait(false);
        }

        private void GiveUp(bool isCancelled)
        {
            lock (pool._lineLock)
            {
                if (Place is not { } place) return;
                pool.Leave(place);
            }
            if (isCancelled)
            {
                Interlocked.Increment(ref pool._cancelled);
                TrySetCanceled(caller);
            }
            else
            {
                TrySetException(pool.Exhausted(limit, selfWaits: true));
            }
        }
    }
}
