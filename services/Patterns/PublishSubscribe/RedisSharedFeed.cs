namespace DistributedPatterns.PublishSubscribe;

/// <summary>What brings a topic's messages into the process: one for all subscribers, from the first one's coming to the last one's leaving.</summary>
internal sealed class RedisSharedFeed<TFeed>(Func<CancellationToken, Task<TFeed>> start) where TFeed : class, IAsyncDisposable
{
    private readonly SemaphoreSlim _gate = new(1);
    private TFeed? _feed;
    private int _users;

    public async Task<TFeed> EnterAsync(CancellationToken cancellationToken)
    {
        await _gate.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            _feed ??= await start(cancellationToken).ConfigureAwait(false);
            _users++;
            return _feed;
        }
        finally
        {
            _gate.Release();
        }
    }

    public async Task LeaveAsync()
    {
        await _gate.WaitAsync().ConfigureAwait(false);
        try
        {
            if (--_users == 0) await StopAsync().ConfigureAwait(false);
        }
        finally
        {
            _gate.Release();
        }
    }

    /// <summary>Ends the feed for all who still listen.</summary>
    public async Task EndAsync()
    {
        await _gate.WaitAsync().ConfigureAwait(false);
        try
        {
            await StopAsync().ConfigureAwait(false);
        }
        finally
        {
            _gate.Release();
        }
    }

    private async Task StopAsync()
    {
        if (_feed is not { } feed) return;
        _feed = null;
        await feed.DisposeAsync().ConfigureAwait(false);
    }
}
