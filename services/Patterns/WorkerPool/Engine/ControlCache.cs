namespace DistributedPatterns.WorkerPool.Engine;

/// <summary>Remembers for a while what the processes are told, so that not every submit asks for it.</summary>
internal sealed class ControlCache(RedisWorkerRegistry registry, TimeSpan keepFor, TimeProvider time)
{
    private readonly Lock _lock = new();
    private Task<RedisPoolControl>? _reading;
    private long _readAt;

    public Task<RedisPoolControl> ReadAsync(CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            if (_reading is null or { IsFaulted: true } || (_reading.IsCompleted && time.GetElapsedTime(_readAt) > keepFor))
            {
                // One caller's token must not end what the others wait for.
                (_reading, _readAt) = (registry.ReadAsync(CancellationToken.None), time.GetTimestamp());
            }
            return _reading.WaitAsync(cancellationToken);
        }
    }

    /// <summary>Takes for granted what this process is about to tell all others.</summary>
    public void Assume(RedisPoolControl control)
    {
        lock (_lock) (_reading, _readAt) = (Task.FromResult(control), time.GetTimestamp());
    }

    public void Forget()
    {
        lock (_lock) _reading = null;
    }
}
