using System.Collections.Concurrent;
using System.Threading.RateLimiting;

namespace DistributedPatterns.RateLimiting;

/// <summary>GCRA for each key: a limit a tenant, an address, a token. A key costs a few dozen bytes while its bucket is not full, and nothing after.</summary>
/// <remarks>
/// Use it where <see cref="PartitionedRateLimiter.Create"/> would be used; <see cref="PartitionedRateLimiter{TResource}.WithTranslatedKey"/>
/// takes the key from a request. A full bucket is the same as none, so a sweep forgets those; nobody can tell.
/// <para>At most <c>maxKeys</c> buckets are kept. Keys that come while all places are taken share one more bucket, and are
/// counted in <see cref="SharedByOverflow"/>: a flood of invented keys costs the inventors their limit, not the process its memory.</para>
/// </remarks>
public sealed class LocalKeyedRateLimiter<TKey> : PartitionedRateLimiter<TKey> where TKey : notnull
{
    private static readonly TimeSpan s_sweepEvery = TimeSpan.FromSeconds(10);

    private readonly ConcurrentDictionary<TKey, KeyedBucket> _buckets = new();
    private readonly KeyedBucketShape _shape;
    private readonly KeyedBucket _overflow;
    private readonly ITimer _sweep;
    private readonly int _maxKeys;
    private int _keys;
    private long _sharedByOverflow;
    private volatile bool _disposed;

    /// <summary>Makes a limiter without keys.</summary>
    /// <param name="options">The limit of each key.</param>
    /// <param name="time">The clock; the system's unless given.</param>
    /// <param name="maxKeys">From 1; 100,000 unless given.</param>
    public LocalKeyedRateLimiter(BucketOptions options, TimeProvider? time = null, int maxKeys = 100_000)
    {
        OptionsGuard.Checked(options);
        ArgumentOutOfRangeException.ThrowIfLessThan(maxKeys, 1);
        var provider = time ?? TimeProvider.System;
        _maxKeys = maxKeys;
        _shape = new KeyedBucketShape(Bucket.Even(new LimiterClock(provider), options.Permits, options.Period, options.Burst), options.QueueLimit, new LedgerCounters());
        _overflow = new KeyedBucket(_shape);
        _sweep = provider.CreateTimer(static state => ((LocalKeyedRateLimiter<TKey>)state!).Sweep(), this, s_sweepEvery, s_sweepEvery);
    }

    /// <summary>Gets how many keys have a bucket that is not known to be full.</summary>
    public int Keys => Volatile.Read(ref _keys);

    /// <summary>Gets how many requests went to the shared bucket because all places were taken.</summary>
    public long SharedByOverflow => Volatile.Read(ref _sharedByOverflow);

    /// <summary>Gets what became of the requests of all keys.</summary>
    public RateLimitLedger GetLedger() => _shape.Counters.Read();

    /// <summary>Gets available and waiting permits of the key; the totals are those of all keys.</summary>
    public override RateLimiterStatistics? GetStatistics(TKey resource)
    {
        var ledger = GetLedger();
        var bucket = _buckets.GetValueOrDefault(resource);
        return new RateLimiterStatistics
        {
            CurrentAvailablePermits = bucket?.Available ?? _shape.Bucket.Burst,
            CurrentQueuedCount = bucket?.Waiting ?? 0,
            TotalSuccessfulLeases = ledger.Admitted,
            TotalFailedLeases = ledger.Denied + ledger.Never,
        };
    }

    /// <inheritdoc/>
    protected override RateLimitLease AttemptAcquireCore(TKey resource, int permitCount)
    {
        while (true)
        {
            var bucket = Of(resource);
            if (bucket.TryAcquire(permitCount) is { } decided) return decided;
            Forget(resource, bucket);
        }
    }

    /// <inheritdoc/>
    protected override ValueTask<RateLimitLease> AcquireAsyncCore(TKey resource, int permitCount, CancellationToken cancellationToken)
    {
        if (cancellationToken.IsCancellationRequested)
        {
            _shape.Counters.Cancelled();
            return ValueTask.FromCanceled<RateLimitLease>(cancellationToken);
        }
        if (_shape.QueueLimit == 0 || permitCount > _shape.Bucket.Burst) return new(AttemptAcquireCore(resource, permitCount));
        while (true)
        {
            var bucket = Of(resource);
            if (bucket.TryWait(permitCount, cancellationToken, out var lease)) return lease;
            Forget(resource, bucket);
        }
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        _disposed = true;
        _sweep.Dispose();
        _overflow.Dispose();
        foreach (var bucket in _buckets.Values) bucket.Dispose();
        _buckets.Clear();
        base.Dispose(disposing);
    }

    private KeyedBucket Of(TKey key)
    {
        if (_buckets.TryGetValue(key, out var known)) return known;
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (Interlocked.Increment(ref _keys) > _maxKeys)
        {
            Interlocked.Decrement(ref _keys);
            Interlocked.Increment(ref _sharedByOverflow);
            return _overflow;
        }
        var made = new KeyedBucket(_shape);
        var kept = _buckets.GetOrAdd(key, made);
        if (!ReferenceEquals(kept, made)) Interlocked.Decrement(ref _keys);
        return kept;
    }

    private void Sweep()
    {
        foreach (var (key, bucket) in _buckets)
            if (bucket.TryRetire()) Forget(key, bucket);
    }

    private void Forget(TKey key, KeyedBucket retired)
    {
        if (_buckets.TryRemove(KeyValuePair.Create(key, retired))) Interlocked.Decrement(ref _keys);
    }
}
