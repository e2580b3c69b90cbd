using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using DistributedPatterns.Diagnostics;

namespace DistributedPatterns.RateLimiting;

/// <summary>Publishes the ledgers as metrics. They are read when somebody collects, so a request pays nothing for them.</summary>
internal static class RateLimitTelemetry
{
    private const string Name = "rate-limiting";

    private static readonly ConcurrentDictionary<RateLimitTables, string> s_tables = new();

    static RateLimitTelemetry()
    {
        PatternsTelemetry.Meter.CreateObservableCounter("patterns.rate_limiter.requests", () => Read(
            ("admitted", ledger => ledger.Admitted), ("denied", ledger => ledger.Denied), ("never", ledger => ledger.Never), ("cancelled", ledger => ledger.Cancelled)),
            "{request}", "What became of requests for permits.");
        PatternsTelemetry.Meter.CreateObservableCounter("patterns.rate_limiter.degraded", () => Read((null, ledger => ledger.Degraded)),
            "{request}", "Requests that were decided while Redis was away.");
    }

    public static void Add(RateLimitTables tables) => s_tables[tables] = tables.Variant;

    public static void Remove(RateLimitTables tables) => s_tables.TryRemove(tables, out _);

    private static List<Measurement<long>> Read(params (string? Result, Func<RateLimitLedger, long> Of)[] values)
    {
        var read = new List<Measurement<long>>();
        foreach (var (tables, variant) in s_tables)
        {
            foreach (var (algorithm, ledger) in tables.GetLedgers())
            {
                foreach (var (result, of) in values)
                {
                    KeyValuePair<string, object?>[] tags =
                        [new(PatternsTelemetry.PatternTag, Name), new(PatternsTelemetry.VariantTag, variant), new("patterns.algorithm", algorithm.ToName())];
                    read.Add(new Measurement<long>(of(ledger), result is null ? tags : [.. tags, new("result", result)]));
                }
            }
        }
        return read;
    }
}
