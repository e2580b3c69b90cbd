using System.Diagnostics;
using System.Runtime.CompilerServices;

namespace DistributedPatterns.ProducerConsumer;

// Who waits, for items, for room, for time.
public sealed partial class ChannelWorkQueue<T>
{
    // Serves whoever can be served now. Everything that adds, frees or moves something ends here.
    private void Dispatch()
    {
        while (true)
        {
            while (_producers.First is { } producer && TryAdd(producer.Value.Item, producer.Value.Creator, out var result)) producer.Value.Answer(result);
            if (_consumers.First is not { } consumer) return;
            var deliveries = Take(consumer.Value.Max);
            if (deliveries.Count == 0 && !IsDrained) return;
            consumer.Value.Answer(deliveries);
        }
    }

    private async ValueTask<IReadOnlyList<Delivery<T>>> WaitForItemsAsync(ConsumerWait wait, CancellationToken cancellationToken)
    {
        try
        {
            return await wait.Task.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            lock (_gate)
            {
                // Served in the same moment: it goes back untried.
                if (!wait.Leave() && wait.Task.IsCompletedSuccessfully)
                    foreach (var delivery in wait.Task.Result) Settle(Settlement.Release(delivery));
                Dispatch();
            }
            throw;
        }
    }

    private async ValueTask<EnqueueResult> WaitForRoomAsync(ProducerWait wait, long since, CancellationToken cancellationToken)
    {
        try
        {
            if (_options.FullWait is not { } limit) return await wait.Task.WaitAsync(cancellationToken).ConfigureAwait(false);
            var left = limit - _clock.GetElapsedTime(since);
            return await wait.Task.WaitAsync(left > TimeSpan.Zero ? left : TimeSpan.Zero, _clock, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e) when (e is OperationCanceledException or TimeoutException)
        {
            lock (_gate)
            {
                // Let in in the same moment: then it counts, and the caller is told so unless it has left.
                if (!wait.Leave() && e is TimeoutException) return wait.Task.Result;
                if (e is OperationCanceledException) throw;
                _rejected++;
                return new(wait.Item.Id ?? "", EnqueueOutcome.Full, Depth);
            }
        }
    }

    private void Arm(ChannelItem<T> item, long due)
    {
        _timed.Remove(item);
        _timed.Add(item, due);
        SetTimer();
    }

    private void SetTimer()
    {
        if (_disposed || _timed.Count == 0 || _timed.FirstKey >= _timerDue) return;
        _timerDue = _timed.FirstKey;
        var wait = _clock.GetElapsedTime(_clock.GetTimestamp(), _timerDue);
        // Rounded up: a timer that is early by a fraction of a millisecond would only be set again.
        var rounded = TimeSpan.FromMilliseconds(Math.Ceiling(Math.Max(0, wait.TotalMilliseconds)));
        if (_timer is null) _timer = _clock.CreateTimer(static queue => ((ChannelWorkQueue<T>)queue!).OnTimer(), this, rounded, Timeout.InfiniteTimeSpan);
        else _timer.Change(rounded, Timeout.InfiniteTimeSpan);
    }

    private void OnTimer()
    {
        lock (_gate)
        {
            _timerDue = long.MaxValue;
            MoveDue();
            SetTimer();
            Dispatch();
        }
    }

    private void MoveDue()
    {
        if (_timed.Count == 0) return;
        var now = _clock.GetTimestamp();
        while (_timed.Count > 0 && _timed.FirstKey <= now)
        {
            var item = _timed.First;
            var wasLeased = item.State == WorkItemState.Leased;
            Unlink(item);
            if (!wasLeased)
            {
                Wait(item, TimeSpan.Zero, now);
                continue;
            }
            _expired++;
            (item.Token, item.EndedBy, item.Note, item.Why) = (0, null, "expired", RedeliveryReason.Expired);
            Return(item, TimeSpan.Zero, isCounted: true);
        }
    }

    /// <summary>One who waits; in one list until answered, failed or gone.</summary>
    private abstract class Waiting<TWait, TResult>() : TaskCompletionSource<TResult>(TaskCreationOptions.RunContinuationsAsynchronously)
        where TWait : Waiting<TWait, TResult>
    {
        public LinkedListNode<TWait>? Node;

        public void Answer(TResult result)
        {
            Leave();
            SetResult(result);
        }

        public void Fail(Exception error)
        {
            Leave();
            SetException(error);
        }

        /// <summary>False when it was answered before.</summary>
        public bool Leave()
        {
            if (Node is null) return false;
            Node.List!.Remove(Node);
            Node = null;
            return true;
        }
    }

    private sealed class ConsumerWait(int max) : Waiting<ConsumerWait, IReadOnlyList<Delivery<T>>>
    {
        public int Max => max;
    }

    private sealed class ProducerWait(WorkItem<T> item, StrongBox<ActivityContext>? creator) : Waiting<ProducerWait, EnqueueResult>
    {
        public WorkItem<T> Item => item;

        public StrongBox<ActivityContext>? Creator => creator;
    }
}
