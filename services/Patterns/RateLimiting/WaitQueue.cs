using System.Threading.RateLimiting;

namespace DistributedPatterns.RateLimiting;

/// <summary>Those who wait for permits of one limiter, served in the order of arrival.</summary>
/// <remarks>
/// Nothing is reserved for anyone: the head takes its permits when they are there, the others stand behind it. So one who
/// leaves holds nothing that had to be given back, and who stood behind it is looked at again at once.
/// One timer, set for the head, and only while somebody waits.
/// </remarks>
internal sealed class WaitQueue(IPermitSource source, int limit, TimeProvider time) : IDisposable
{
    private static readonly TimeSpan s_longestTimer = TimeSpan.FromDays(1); // then it looks again

    private readonly Lock _gate = new();
    private readonly LinkedList<Waiter> _waiters = new();
    private ITimer? _timer;
    private long _waiting;
    private bool _closed;

    /// <summary>Gets how many permits are waited for; a request for 0 counts as 1.</summary>
    public long Waiting => Volatile.Read(ref _waiting);

    public bool IsEmpty => Waiting == 0;

    /// <summary>Takes permits now if nobody waits and they are there, else waits for them if there is room.</summary>
    public ValueTask<RateLimitLease> AcquireAsync(int permits, CancellationToken cancellationToken)
    {
        Waiter waiter;
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_closed, source);
            if (_waiters.Count == 0 && source.TryTake(permits)) return new(source.Grant(permits));
            var weight = Math.Max(1, permits);
            if (_waiting + weight > limit) return new(source.Deny(permits, limit == 0 ? DenialReason.LimitReached : DenialReason.QueueFull));
            waiter = new Waiter(this, permits, weight, cancellationToken);
            waiter.Place = _waiters.AddLast(waiter);
            // From here on the fast path leaves the permits to the queue, so the head cannot be overtaken for ever.
            Interlocked.Add(ref _waiting, weight);
            if (_waiters.Count == 1) Serve();
        }
        // Not under the lock: a token that fires already calls back at once.
        var registration = cancellationToken.UnsafeRegister(static state => ((Waiter)state!).Cancel(), waiter);
        lock (_gate)
        {
            if (waiter.Place is null) registration.Unregister(); // served meanwhile
            else waiter.Cancellation = registration;
        }
        return new(waiter.Task);
    }

    /// <summary>Looks at the head again: permits may have come.</summary>
    public void Pulse()
    {
        lock (_gate) Serve();
    }

    /// <summary>Sends all who wait away, with a lease that says why.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            if (_closed) return;
            _closed = true;
            while (_waiters.First is { } head)
            {
                Remove(head);
                head.Value.TrySetResult(source.Deny(head.Value.Permits, DenialReason.Disposed));
            }
            _timer?.Dispose();
        }
    }

    private void Serve()
    {
        while (_waiters.First is { } head)
        {
            if (!source.TryTake(head.Value.Permits))
            {
                Arm(source.UntilAvailable(head.Value.Permits));
                return;
            }
            Remove(head);
            head.Value.TrySetResult(source.Grant(head.Value.Permits));
        }
    }

    // Timers count whole milliseconds: rounded up, or a timer of 0 would spin until the time has come.
    private void Arm(TimeSpan? wait)
    {
        if (_closed || wait is not { } known) return;
        var due = TimeSpan.FromMilliseconds(Math.Max(1, Math.Ceiling(known.TotalMilliseconds)));
        if (due > s_longestTimer) due = s_longestTimer;
        if (_timer is null) _timer = time.CreateTimer(static state => ((WaitQueue)state!).Pulse(), this, due, Timeout.InfiniteTimeSpan);
        else _timer.Change(due, Timeout.InfiniteTimeSpan);
    }

    private void Remove(LinkedListNode<Waiter> place)
    {
        _waiters.Remove(place);
        place.Value.Place = null;
        Interlocked.Add(ref _waiting, -place.Value.Weight);
        place.Value.Cancellation.Unregister();
    }

    private void OnCancelled() => source.OnCancelled();

    private sealed class Waiter(WaitQueue queue, int permits, int weight, CancellationToken token)
        : TaskCompletionSource<RateLimitLease>(TaskCreationOptions.RunContinuationsAsynchronously)
    {
        public int Permits => permits;

        public int Weight => weight;

        /// <summary>Gets or sets its place while it waits: who takes it out of the line decides what it gets.</summary>
        public LinkedListNode<Waiter>? Place { get; set; }

        public CancellationTokenRegistration Cancellation { get; set; }

        public void Cancel()
        {
            lock (queue._gate)
            {
                if (Place is not { } place) return;
                queue.Remove(place);
                queue.Serve(); // what was too much for this one may be enough for the next
            }
            queue.OnCancelled();
            TrySetCanceled(token);
        }
    }
}

/// <summary>What a queue takes permits from.</summary>
internal interface IPermitSource
{
    /// <summary>Takes permits that are there now, regardless of who waits.</summary>
    bool TryTake(int permits);

    /// <summary>Gets how long until the head's permits are there; nothing when only a <see cref="WaitQueue.Pulse"/> can tell.</summary>
    TimeSpan? UntilAvailable(int permits);

    /// <summary>Makes and counts the lease for permits that were taken.</summary>
    RateLimitLease Grant(int permits);

    /// <summary>Makes and counts the lease for permits that were not.</summary>
    RateLimitLease Deny(int permits, DenialReason reason);

    /// <summary>Counts one who gave up.</summary>
    void OnCancelled();
}
