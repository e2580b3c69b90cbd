using System.Collections.Concurrent;
using System.Threading.RateLimiting;

namespace DistributedPatterns.RateLimiting;

/// <summary>A limiter for each key, of any kind, made when the key first asks and disposed when it has been idle for a while.</summary>
/// <remarks>
/// At most <c>maxKeys</c> live at the same time; a key beyond them gets a <see cref="TooManyKeysException"/>. For GCRA in process
/// <see cref="LocalKeyedRateLimiter{TKey}"/> is several times cheaper.
/// </remarks>
public sealed class KeyedRateLimiter<TKey> : PartitionedRateLimiter<TKey> where TKey : notnull
{
    private readonly ConcurrentDictionary<TKey, Place> _places = new();
    private readonly Func<TKey, MeteredRateLimiter> _make;
    private readonly LedgerCounters _counters = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly TimeSpan _idleFor;
    private readonly int _maxKeys;
    private readonly Task _sweeping;
    private int _keys;

    /// <summary>Makes an empty table.</summary>
    /// <param name="make">Makes the limiter of a key.</param>
    /// <param name="maxKeys">From 1.</param>
    /// <param name="idleFor">How long a limiter is kept after it is at rest; 30 seconds unless given.</param>
    /// <param name="time">The clock of the sweeps.</param>
    public KeyedRateLimiter(Func<TKey, MeteredRateLimiter> make, int maxKeys, TimeSpan? idleFor = null, TimeProvider? time = null)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(maxKeys, 1);
        (_make, _maxKeys, _idleFor) = (make, maxKeys, idleFor ?? TimeSpan.FromSeconds(30));
        _sweeping = SweepAsync(time ?? TimeProvider.System, _stop.Token);
    }

    /// <summary>Gets how many keys have a limiter.</summary>
    public int Keys => Volatile.Read(ref _keys);

    /// <summary>Gets what became of the requests of all keys, those forgotten included.</summary>
    public RateLimitLedger GetLedger() => _counters.Read();

    /// <summary>Gets available and waiting permits of the key; the totals are those of all keys.</summary>
    public override RateLimiterStatistics? GetStatistics(TKey resource) => _places.GetValueOrDefault(resource)?.Limiter.GetStatistics();

    /// <summary>Decides without waiting for permits, see <see cref="MeteredRateLimiter.TryAcquireAsync"/>.</summary>
    /// <exception cref="TooManyKeysException">The key is new and there is no room.</exception>
    public async ValueTask<RateLimitLease> TryAcquireAsync(TKey resource, int permitCount, CancellationToken cancellationToken)
    {
        using var place = Enter(resource);
        return await place.Limiter.TryAcquireAsync(permitCount, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Gets how long one who comes now would wait, without asking for it; nothing where that is not known.</summary>
    internal async ValueTask<TimeSpan?> RetryAfterAsync(TKey resource, int permitCount, CancellationToken cancellationToken)
    {
        using var place = Enter(resource);
        return await place.Limiter.RetryAfterAsync(permitCount, cancellationToken).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    protected override RateLimitLease AttemptAcquireCore(TKey resource, int permitCount)
    {
        using var place = Enter(resource);
        return place.Limiter.AttemptAcquire(permitCount);
    }

    /// <inheritdoc/>
    protected override async ValueTask<RateLimitLease> AcquireAsyncCore(TKey resource, int permitCount, CancellationToken cancellationToken)
    {
        using var place = Enter(resource);
        return await place.Limiter.AcquireAsync(permitCount, cancellationToken).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        _stop.Cancel();
        foreach (var place in _places.Values) place.Limiter.Dispose();
        base.Dispose(disposing);
    }

    /// <inheritdoc/>
    protected override async ValueTask DisposeAsyncCore()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await _sweeping.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        foreach (var place in _places.Values) await place.Limiter.DisposeAsync().ConfigureAwait(false);
        await base.DisposeAsyncCore().ConfigureAwait(false);
    }

    private Place Enter(TKey key)
    {
        var spin = new SpinWait();
        while (true)
        {
            if (_places.TryGetValue(key, out var place) || TryAdd(key, out place))
            {
                if (place.TryEnter()) return place;
                spin.SpinOnce(); // just being forgotten
            }
        }
    }

    private bool TryAdd(TKey key, out Place place)
    {
        ObjectDisposedException.ThrowIf(_stop.IsCancellationRequested, this);
        if (Interlocked.Increment(ref _keys) > _maxKeys)
        {
            Interlocked.Decrement(ref _keys);
            throw new TooManyKeysException(_maxKeys);
        }
        var made = _make(key);
        made.CountInto(_counters);
        var added = new Place(made);
        place = _places.GetOrAdd(key, added);
        if (ReferenceEquals(place, added)) return true;
        Interlocked.Decrement(ref _keys);
        made.Dispose();
        return true;
    }

    private async Task SweepAsync(TimeProvider time, CancellationToken stop)
    {
        using var timer = new PeriodicTimer(_idleFor / 3, time);
        while (await timer.WaitForNextTickAsync(stop).ConfigureAwait(false))
        {
            foreach (var (key, place) in _places)
            {
                if (!place.TryClose(_idleFor)) continue;
                if (_places.TryRemove(KeyValuePair.Create(key, place))) Interlocked.Decrement(ref _keys);
                await place.Limiter.DisposeAsync().ConfigureAwait(false);
            }
        }
    }

    /// <summary>A limiter and how many are at it now: it is forgotten only when nobody is, so no decision goes to one that is gone.</summary>
    private sealed class Place(MeteredRateLimiter limiter) : IDisposable
    {
        private const int Closed = -1;
        private int _users;

        public MeteredRateLimiter Limiter => limiter;

        public bool TryEnter()
        {
            while (true)
            {
                var users = Volatile.Read(ref _users);
                if (users == Closed) return false;
                if (Interlocked.CompareExchange(ref _users, users + 1, users) == users) return true;
            }
        }

        public void Dispose() => Interlocked.Decrement(ref _users);

        public bool TryClose(TimeSpan idleFor)
        {
            if (limiter.IdleDuration is not { } idle || idle < idleFor || Interlocked.CompareExchange(ref _users, Closed, 0) != 0) return false;
            if (limiter.IdleDuration is not null) return true;
            Volatile.Write(ref _users, 0); // used in between
            return false;
        }
    }
}

/// <summary>As many keys have a limiter as may.</summary>
public sealed class TooManyKeysException(int limit) : Exception($"{limit:N0} keys have a limiter already, the most that are kept. Idle ones are forgotten after a while; raise MaxKeys for more.")
{
    /// <summary>Gets how many keys may have a limiter.</summary>
    public int Limit => limit;
}
