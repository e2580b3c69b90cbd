using System.Threading.RateLimiting;
using DistributedPatterns.Diagnostics;
using Microsoft.Extensions.Options;

namespace DistributedPatterns.RateLimiting;

/// <summary><see cref="IRateLimiting"/> in one process: with several instances each admits the whole limit.</summary>
public sealed class LocalRateLimiting : IRateLimiting, IAsyncDisposable
{
    private readonly RateLimitTables _tables;

    public LocalRateLimiting(IOptions<RateLimitingOptions> options, TimeProvider time)
    {
        var limit = options.Value;
        var bucket = new BucketOptions { Permits = limit.Permits, Period = limit.Period, Burst = limit.Burst, QueueLimit = limit.QueueLimit };
        var window = new WindowOptions { Permits = limit.Permits, Window = limit.Period, QueueLimit = limit.QueueLimit };
        var concurrency = new ConcurrencyOptions { Permits = limit.Concurrent, QueueLimit = limit.QueueLimit };
        var pacer = new PacerOptions { Interval = limit.Interval, QueueLimit = limit.QueueLimit };
        _tables = new RateLimitTables(Variants.Channel, limit, time, "", new Dictionary<RateLimitAlgorithm, Func<string, MeteredRateLimiter>>
        {
            [RateLimitAlgorithm.Gcra] = _ => new LocalGcraRateLimiter(bucket, time),
            [RateLimitAlgorithm.TokenBucket] = _ => new LocalTokenBucketRateLimiter(bucket, time),
            [RateLimitAlgorithm.WindowCounter] = _ => new LocalWindowCounterRateLimiter(window, time),
            [RateLimitAlgorithm.WindowLog] = _ => new LocalWindowLogRateLimiter(window, time),
            [RateLimitAlgorithm.Concurrency] = _ => new LocalConcurrencyRateLimiter(concurrency, time),
            [RateLimitAlgorithm.Pacer] = _ => new LocalPacer(pacer, time),
        });
    }

    /// <inheritdoc/>
    public IReadOnlyList<RateLimitAlgorithm> Algorithms => _tables.Algorithms;

    /// <inheritdoc/>
    public LimiterState State => LimiterState.Exact;

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
