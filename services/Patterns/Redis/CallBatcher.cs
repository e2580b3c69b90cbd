namespace DistributedPatterns.Redis;

/// <summary>Lets callers that come at the same time share a call: what gathers while one call is under way goes with the next.</summary>
/// <remarks>
/// Adds no waiting: a lone request is sent at once. Requests keep their order. A request whose caller left before it was sent is not sent.
/// </remarks>
internal sealed class CallBatcher<TRequest, TReply>(
    int maxRequests, int maxWeight, Func<TRequest, int> weigh, TimeProvider clock, Func<IReadOnlyList<TRequest>, long, Task<TReply[]>> call)
{
    private readonly Lock _gate = new();
    private readonly Queue<Entry> _pending = new();
    private bool _running;

    /// <summary>Sends a request with the next call.</summary>
    public Task<TReply> AddAsync(TRequest request, CancellationToken cancellationToken)
    {
        if (cancellationToken.IsCancellationRequested) return Task.FromCanceled<TReply>(cancellationToken);
        var entry = new Entry(request, clock.GetTimestamp(), cancellationToken);
        lock (_gate) Enqueue(entry);
        return cancellationToken.CanBeCanceled ? entry.Task.WaitAsync(cancellationToken) : entry.Task;
    }

    /// <summary>Sends requests in order, with nothing of other callers between those of one call.</summary>
    public async Task<TReply[]> AddAsync(IReadOnlyList<TRequest> requests, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var now = clock.GetTimestamp();
        var tasks = new Task<TReply>[requests.Count];
        lock (_gate)
        {
            for (var i = 0; i < tasks.Length; i++)
            {
                var entry = new Entry(requests[i], now, cancellationToken);
                tasks[i] = entry.Task;
                Enqueue(entry);
            }
        }
        return await Task.WhenAll(tasks).WaitAsync(cancellationToken).ConfigureAwait(false);
    }

    private void Enqueue(Entry entry)
    {
        _pending.Enqueue(entry);
        if (_running) return;
        _running = true;
        // Off the caller's lock; what goes wrong goes to the entries.
        _ = Task.Run(RunAsync);
    }

    private async Task RunAsync()
    {
        var batch = new List<Entry>();
        while (TryTake(batch))
        {
            try
            {
                var replies = await call(batch.ConvertAll(static entry => entry.Request), batch[0].Since).ConfigureAwait(false);
                for (var i = 0; i < batch.Count; i++) batch[i].TrySetResult(replies[i]);
            }
            catch (Exception e)
            {
                // Each caller gets the error; it is theirs to observe, unless they have left.
                foreach (var entry in batch) entry.Fail(e);
            }
        }
    }

    private bool TryTake(List<Entry> batch)
    {
        batch.Clear();
        lock (_gate)
        {
            var weight = 0;
            while (batch.Count < maxRequests && _pending.TryPeek(out var entry))
            {
                if (entry.HasLeft)
                {
                    _pending.Dequeue();
                    continue;
                }
                weight += weigh(entry.Request);
                if (batch.Count > 0 && weight > maxWeight) break;
                batch.Add(_pending.Dequeue());
            }
            return _running = batch.Count > 0;
        }
    }

    private sealed class Entry(TRequest request, long since, CancellationToken caller) : TaskCompletionSource<TReply>(TaskCreationOptions.RunContinuationsAsynchronously)
    {
        public TRequest Request => request;

        /// <summary>Gets when the caller asked: its patience counts from here.</summary>
        public long Since => since;

        public bool HasLeft => caller.IsCancellationRequested && TrySetCanceled(caller);

        // An error that nobody is left to observe is none.
        public void Fail(Exception error) => _ = caller.IsCancellationRequested ? TrySetCanceled(caller) : TrySetException(error);
    }
}
