using DistributedPatterns.Redis;

namespace DistributedPatterns.ProducerConsumer;

/// <summary>Waits for the ends of items: one poll a process for all who wait, woken by the doorbell.</summary>
internal sealed class EndWatch(RedisQueueScript script, RedisDoorbell doorbell, RedisWorkQueueOptions options) : IAsyncDisposable
{
    private const int MaxPerCall = 500;

    private readonly Lock _gate = new();
    private readonly Dictionary<string, Waiter> _waiting = new(StringComparer.Ordinal);
    private readonly CancellationTokenSource _stop = new();
    private Task _loop = Task.CompletedTask;
    private bool _running;

    /// <summary>Waits for an item that had not ended when the caller looked.</summary>
    public async Task<WorkItemStatus?> WaitAsync(string id, CancellationToken cancellationToken)
    {
        Waiter? waiter;
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_stop.IsCancellationRequested, this);
            if (!_waiting.TryGetValue(id, out waiter)) _waiting[id] = waiter = new Waiter();
            waiter.Callers++;
            if (!_running) (_running, _loop) = (true, Task.Run(RunAsync, CancellationToken.None));
        }
        try
        {
            return await waiter.Task.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            lock (_gate)
            {
                if (--waiter.Callers == 0 && _waiting.TryGetValue(id, out var current) && current == waiter) _waiting.Remove(id);
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await _loop.ConfigureAwait(false);
        lock (_gate)
        {
            foreach (var waiter in _waiting.Values) waiter.TrySetException(new ObjectDisposedException(nameof(RedisWorkQueue<>)));
            _waiting.Clear();
        }
    }

    private async Task RunAsync()
    {
        using var bell = doorbell.Listen(RedisQueueScript.EndBell);
        while (true)
        {
            string[] ids;
            lock (_gate)
            {
                ids = [.. _waiting.Keys];
                _running = ids.Length > 0 && !_stop.IsCancellationRequested;
                if (!_running) return;
            }
            try
            {
                foreach (var some in ids.Chunk(MaxPerCall))
                {
                    var found = await script.StatusAsync(some, _stop.Token).ConfigureAwait(false);
                    for (var i = 0; i < some.Length; i++)
                        if (found[i] is null or { HasEnded: true }) Take(some[i])?.TrySetResult(found[i]);
                }
                // Somebody has to move what is due, also when no consumer is alive.
                if (!await bell.RingsAsync(options.PollEvery, _stop.Token).ConfigureAwait(false))
                    await script.ReserveAsync(0, options.RetryFor, _stop.Token).ConfigureAwait(false);
            }
            catch (OperationCanceledException) when (_stop.IsCancellationRequested)
            {
                // The next look at the list ends it.
            }
            catch (Exception e)
            {
                foreach (var id in ids) Take(id)?.TrySetException(e);
            }
        }
    }

    private Waiter? Take(string id)
    {
        lock (_gate) return _waiting.Remove(id, out var waiter) ? waiter : null;
    }

    private sealed class Waiter() : TaskCompletionSource<WorkItemStatus?>(TaskCreationOptions.RunContinuationsAsynchronously)
    {
        public int Callers;
    }
}
