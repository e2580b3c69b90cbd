using System.Security.Cryptography;
using System.Text;
using System.Threading.RateLimiting;
using DistributedPatterns.Diagnostics;
using Microsoft.Extensions.Options;

namespace DistributedPatterns.RateLimiting;

/// <summary><see cref="IRateLimiting"/> over all processes on one Redis: together they admit one limit.</summary>
/// <remarks>It has no token bucket: refilled continuously that is GCRA, and in steps it only adds bursts.</remarks>
public sealed class RedisRateLimiting : IRateLimiting, IAsyncDisposable
{
    private const string NoTokenBucket = "Across processes a token bucket is gcra: permits come evenly instead of in steps.";

    private readonly RedisLimitStore _store;
    private readonly RateLimitTables _tables;

    public RedisRateLimiting(RedisLimitStore store, IOptions<RateLimitingOptions> options, IOptions<RedisRateLimitingOptions> redis)
    {
        _store = store;
        var (limit, shared) = (options.Value, redis.Value);
        var window = new WindowOptions { Permits = limit.Permits, Window = limit.Period, QueueLimit = limit.QueueLimit };
        var concurrency = new RedisConcurrencyOptions { Permits = limit.Concurrent, QueueLimit = limit.QueueLimit, Lease = shared.Lease };
        var gcra = new RedisGcraOptions
        {
            Limits = { new RateLimitRule { Permits = limit.Permits, Period = limit.Period, Burst = limit.Burst } },
            QueueLimit = limit.QueueLimit,
            Borrow = shared.Borrow,
        };
        // The same rate without a burst: it lets one go each interval.
        var pacer = new RedisGcraOptions
        {
            Limits = { new RateLimitRule { Permits = limit.Permits, Period = limit.Period, Burst = 1 } },
            QueueLimit = limit.QueueLimit,
        };
        _tables = new RateLimitTables(Variants.Distributed, limit, store.Time, NoTokenBucket, new Dictionary<RateLimitAlgorithm, Func<string, MeteredRateLimiter>>
        {
            [RateLimitAlgorithm.Gcra] = key => new RedisGcraRateLimiter(store, At("gcra", key), gcra),
            [RateLimitAlgorithm.WindowCounter] = key => new RedisWindowCounterRateLimiter(store, At("window-counter", key), window),
            [RateLimitAlgorithm.WindowLog] = key => new RedisWindowLogRateLimiter(store, At("window-log", key), window),
            [RateLimitAlgorithm.Concurrency] = key => new RedisConcurrencyRateLimiter(store, At("concurrency", key), concurrency),
            [RateLimitAlgorithm.Pacer] = key => new RedisGcraRateLimiter(store, At("pacer", key), pacer),
        });

        // A caller's key may hold anything, braces too, and be long: its hash stands for it.
        RedisLimitOptions At(string algorithm, string key) => new()
        {
            Name = $"{shared.KeyPrefix}:{algorithm}:{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(key)).AsSpan(0, 16))}",
            WhenDown = shared.WhenDown,
            Instances = shared.Instances,
        };
    }

    /// <inheritdoc/>
    public IReadOnlyList<RateLimitAlgorithm> Algorithms => _tables.Algorithms;

    /// <inheritdoc/>
    public LimiterState State => _store.State;

    /// <summary>Gets how many times Redis went away.</summary>
    public long Outages => _store.Outages;

    /// <inheritdoc/>
    public RateLimitPolicy PolicyOf(RateLimitAlgorithm algorithm) => _tables.PolicyOf(algorithm);

    /// <inheritdoc/>
    public ValueTask<RateLimitLease> AcquireAsync(RateLimitAlgorithm algorithm, string key, int permits, TimeSpan maxWait, CancellationToken cancellationToken) =>
        _tables.AcquireAsync(algorithm, key, permits, maxWait, cancellationToken);

    /// <inheritdoc/>
    public IReadOnlyDictionary<RateLimitAlgorithm, RateLimitLedger> GetLedgers() => _tables.GetLedgers();

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => _tables.DisposeAsync();
}
