using System.Threading.RateLimiting;

namespace DistributedPatterns.RateLimiting;

/// <summary>A table of limiters for each algorithm: what both variants of <see cref="IRateLimiting"/> are made of.</summary>
internal sealed class RateLimitTables : IAsyncDisposable
{
    private readonly Dictionary<RateLimitAlgorithm, KeyedRateLimiter<string>> _tables;
    private readonly RateLimitingOptions _options;
    private readonly TimeProvider _time;
    private readonly string _hint;

    public RateLimitTables(
        string variant, RateLimitingOptions options, TimeProvider time, string hint, IReadOnlyDictionary<RateLimitAlgorithm, Func<string, MeteredRateLimiter>> makers)
    {
        (Variant, _options, _time, _hint) = (variant, options, time, hint);
        _tables = makers.ToDictionary(maker => maker.Key, maker => new KeyedRateLimiter<string>(maker.Value, options.MaxKeys, time: time));
        Algorithms = [.. makers.Keys.Order()];
        RateLimitTelemetry.Add(this);
    }

    public string Variant { get; }

    public IReadOnlyList<RateLimitAlgorithm> Algorithms { get; }

    public RateLimitPolicy PolicyOf(RateLimitAlgorithm algorithm)
    {
        Of(algorithm);
        return algorithm switch
        {
            RateLimitAlgorithm.Concurrency => new RateLimitPolicy(_options.Concurrent, null, _options.Concurrent),
            RateLimitAlgorithm.Pacer => new RateLimitPolicy(1, _options.Interval, 1),
            RateLimitAlgorithm.Gcra or RateLimitAlgorithm.TokenBucket => new RateLimitPolicy(_options.Permits, _options.Period, _options.Burst),
            _ => new RateLimitPolicy(_options.Permits, _options.Period, _options.Permits),
        };
    }

    public async ValueTask<RateLimitLease> AcquireAsync(
        RateLimitAlgorithm algorithm, string key, int permits, TimeSpan maxWait, CancellationToken cancellationToken)
    {
        var table = Of(algorithm);
        if (maxWait <= TimeSpan.Zero) return await table.TryAcquireAsync(key, permits, cancellationToken).ConfigureAwait(false);
        using var limit = new CancellationTokenSource(maxWait, _time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, limit.Token);
        try
        {
            return await table.AcquireAsync(key, permits, both.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (limit.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            return new WaitedInVain(await table.RetryAfterAsync(key, permits, cancellationToken).ConfigureAwait(false));
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            throw new OperationCanceledException(cancellationToken);
        }
    }

    private KeyedRateLimiter<string> Of(RateLimitAlgorithm algorithm) =>
        _tables.TryGetValue(algorithm, out var table) ? table : throw new UnknownAlgorithmException(algorithm, Algorithms, _hint);

    public IReadOnlyDictionary<RateLimitAlgorithm, RateLimitLedger> GetLedgers() => _tables.ToDictionary(table => table.Key, table => table.Value.GetLedger());

    public async ValueTask DisposeAsync()
    {
        RateLimitTelemetry.Remove(this);
        foreach (var table in _tables.Values) await table.DisposeAsync().ConfigureAwait(false);
    }

    private sealed class WaitedInVain(TimeSpan? retryAfter) : RateLimitLease
    {
        public override bool IsAcquired => false;

        public override IEnumerable<string> MetadataNames => [RateLimitMetadata.Reason.Name, MetadataName.RetryAfter.Name];

        public override bool TryGetMetadata(string metadataName, out object? metadata)
        {
            metadata = metadataName == RateLimitMetadata.Reason.Name ? DenialReason.LimitReached
                : metadataName == MetadataName.RetryAfter.Name ? retryAfter
                : null;
            return metadata is not null;
        }
    }
}
