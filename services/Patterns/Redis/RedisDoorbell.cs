using StackExchange.Redis;

namespace DistributedPatterns.Redis;

/// <summary>Wakes those who wait for something in Redis before their poll is due. A ring may be lost, so waiting always has a limit.</summary>
/// <remarks>One subscription a process. Remembers one ring a listener at most: that is all a poll needs to know.</remarks>
public sealed class RedisDoorbell : IAsyncDisposable
{
    private readonly ISubscriber _subscriber;
    private readonly RedisChannel _channel;
    private readonly TimeProvider _time;
    private readonly Lock _gate = new();
    private readonly Dictionary<string, HashSet<Listener>> _listeners = new(StringComparer.Ordinal); // by the message that they listen for
    private Task? _subscribing;

    public RedisDoorbell(IConnectionMultiplexer redis, RedisChannel channel, TimeProvider time)
    {
        _subscriber = redis.GetSubscriber();
        _channel = channel;
        _time = time;
    }

    /// <summary>Begins to listen for rings with this message. Listen first, then read, then wait: no ring falls in between.</summary>
    public Listener Listen(string message)
    {
        var listener = new Listener(this, message);
        lock (_gate)
        {
            if (!_listeners.TryGetValue(message, out var same)) _listeners.Add(message, same = []);
            same.Add(listener);
            if (_subscribing is null or { IsFaulted: true }) _subscribing = SubscribeAsync();
        }
        return listener;
    }

    public async ValueTask DisposeAsync()
    {
        if (_subscribing is null) return;
        try
        {
            await _subscriber.UnsubscribeAsync(_channel, flags: CommandFlags.FireAndForget).ConfigureAwait(false);
        }
        catch (ObjectDisposedException)
        {
            // The connection, which is not ours, went first.
        }
    }

    private async Task SubscribeAsync()
    {
        // While Redis is away this fails, the polls go on, and the next listener tries again.
        await _subscriber.SubscribeAsync(_channel, (_, message) => Ring(message!)).ConfigureAwait(false);
        // Who listened before this may have missed a ring.
        lock (_gate)
            foreach (var listener in _listeners.Values.SelectMany(same => same)) listener.Ring();
    }

    private void Ring(string message)
    {
        lock (_gate)
        {
            if (!_listeners.TryGetValue(message, out var same)) return;
            foreach (var listener in same) listener.Ring();
        }
    }

    private void Leave(Listener listener, string message)
    {
        lock (_gate)
        {
            if (_listeners.TryGetValue(message, out var same) && same.Remove(listener) && same.Count == 0) _listeners.Remove(message);
        }
    }

    /// <summary>One who waits.</summary>
    public sealed class Listener : IDisposable
    {
        private readonly RedisDoorbell _doorbell;
        private readonly string _message;
        private readonly SemaphoreSlim _rung = new(0, 1);

        internal Listener(RedisDoorbell doorbell, string message) => (_doorbell, _message) = (doorbell, message);

        /// <summary>Returns at the next ring, or after a random half to whole of <paramref name="atMost"/>.</summary>
        public Task WaitAsync(TimeSpan atMost, CancellationToken cancellationToken) => RingsAsync(atMost, cancellationToken);

        /// <summary>Returns true at the next ring, or false after a random half to whole of <paramref name="atMost"/>.</summary>
        public async Task<bool> RingsAsync(TimeSpan atMost, CancellationToken cancellationToken)
        {
            using var limit = new CancellationTokenSource(atMost * (0.5 + Random.Shared.NextDouble() / 2), _doorbell._time);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
            try
            {
                await _rung.WaitAsync(either.Token).ConfigureAwait(false);
                return true;
            }
            catch (OperationCanceledException)
            {
                cancellationToken.ThrowIfCancellationRequested(); // with the caller's token, not the linked one
                return false; // time to poll
            }
        }

        public void Dispose() => _doorbell.Leave(this, _message);

        internal void Ring()
        {
            lock (_rung)
            {
                if (_rung.CurrentCount == 0) _rung.Release();
            }
        }
    }
}
