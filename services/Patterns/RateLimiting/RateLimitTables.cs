namespace DistributedPatterns.RateLimiting;

/// <summary>A table of limiters for each algorithm: what both variants of <see cref="IRateLimiting"/> are made of.</summary>
internal sealed class RateLimitTables(RateLimitingOptions options, TimeProvider time, string hint, IReadOnlyDictionary<RateLimitAlgorithm, Func<string, MeteredRateLimiter>> makers)
    : IAsyncDisposable
{
    private readonly Dictionary<RateLimitAlgorithm, KeyedRateLimiter<string>> _tables =
        makers.ToDictionary(maker => maker.Key, maker => new KeyedRateLimiter<string>(maker.Value, options.MaxKeys, time: time));

    public IReadOnlyList<RateLimitAlgorithm> Algorithms { get; } = [.. makers.Keys.Order()];

    public RateLimitPolicy PolicyOf(RateLimitAlgorithm algorithm)
    {
        Of(algorithm);
        return algorithm switch
        {
            RateLimitAlgorithm.Concurrency => new RateLimitPolicy(options.Concurrent, null, options.Concurrent),
            RateLimitAlgorithm.Pacer => new RateLimitPolicy(1, options.Interval, 1),
            RateLimitAlgorithm.Gcra or RateLimitAlgorithm.TokenBucket => new RateLimitPolicy(options.Permits, options.Period, options.Burst),
            _ => new RateLimitPolicy(options.Permits, options.Period, options.Permits),
        };
    }

    public KeyedRateLimiter<string> Of(RateLimitAlgorithm algorithm) =>
        _tables.TryGetValue(algorithm, out var table) ? table : throw new UnknownAlgorithmException(algorithm, Algorithms, hint);

    public IReadOnlyDictionary<RateLimitAlgorithm, RateLimitLedger> GetLedgers() => _tables.ToDictionary(table => table.Key, table => table.Value.GetLedger());

    public async ValueTask DisposeAsync()
    {
        foreach (var table in _tables.Values) await table.DisposeAsync().ConfigureAwait(false);
    }
}
