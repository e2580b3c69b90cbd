using StackExchange.Redis;

namespace DistributedPatterns.RateLimiting;

/// <summary>Permits that this instance took from a shared limit in advance, so that not every request has to ask.</summary>
/// <param name="size">How many lie here at most.</param>
/// <param name="take">Takes so many from the shared limit; returns what gives them back, or how long to wait, or nothing when Redis is away.</param>
internal sealed class BorrowedPermits(
    int size, Func<int, CancellationToken, ValueTask<(RedisValue[]? Tickets, TimeSpan? Wait)>> take, TimeProvider time)
{
    private readonly Lock _gate = new();
    private int _stock;
    private RedisValue[]? _tickets;
    private int _lastTaken;
    private Task? _refilling;
    private long _notBefore = long.MinValue;
    private bool _closed;

    public int Stock => Volatile.Read(ref _stock);

    /// <summary>Takes permits that lie here.</summary>
    public bool TryTake(int permits)
    {
        while (true)
        {
            var stock = Volatile.Read(ref _stock);
            if (stock < Math.Max(1, permits)) return false;
            if (permits == 0 || Interlocked.CompareExchange(ref _stock, stock - permits, stock) == stock) return true;
        }
    }

    /// <summary>Fills up and takes. One fills up for all who came meanwhile.</summary>
    public async ValueTask<bool> TryRefillAndTakeAsync(int permits, CancellationToken cancellationToken)
    {
        // Who got none from a refill that served others asks for itself.
        for (var attempt = 0; attempt < 2 && permits <= size; attempt++)
        {
            if (TryTake(permits)) return true;
            Task refilling;
            lock (_gate)
            {
                if (_closed || time.GetTimestamp() < _notBefore) return false;
                refilling = _refilling ??= RefillAsync();
            }
            // The refill is everybody's: one who leaves does not end it for the others.
            await refilling.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
        return TryTake(permits);
    }

    /// <summary>Ends borrowing. What is unused of the last refill can be given back: what came before it has been earned again by others.</summary>
    public (int Unused, RedisValue[]? Tickets) Close()
    {
        lock (_gate)
        {
            if (_closed) return (0, null);
            _closed = true;
            return (Math.Min(Interlocked.Exchange(ref _stock, 0), _lastTaken), _tickets);
        }
    }

    private async Task RefillAsync()
    {
        await Task.Yield(); // out of the lock
        try
        {
            // Only up to the size: never more than that lies here.
            var missing = size - Stock;
            var (tickets, wait) = missing > 0 ? await take(missing, CancellationToken.None).ConfigureAwait(false) : (null, null);
            lock (_gate)
            {
                if (tickets is not null && !_closed)
                {
                    (_tickets, _lastTaken) = (tickets, missing);
                    Interlocked.Add(ref _stock, missing);
                }
                // Near the limit a whole refill is refused where single permits are not: those are asked for singly meanwhile.
                else if (wait is { } known) _notBefore = time.GetTimestamp() + (long)(known.TotalSeconds * time.TimestampFrequency);
            }
        }
        finally
        {
            lock (_gate) _refilling = null;
        }
    }
}
