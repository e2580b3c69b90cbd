using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using DistributedPatterns.Diagnostics;

namespace DistributedPatterns.ResourcePooling;

/// <summary>Metrics of a pool, in the shape of OpenTelemetry's <c>db.client.connection.*</c>. Only what waits or opens is timed.</summary>
internal sealed class PoolTelemetry : IDisposable
{
    private const string Pattern = "resource-pooling";

    private static readonly ConcurrentDictionary<PoolTelemetry, bool> s_pools = new();

    private static readonly Histogram<double> s_waitTime = PatternsTelemetry.Meter.CreateHistogram<double>(
        "patterns.pool.wait_time", "s", "How long those who had to wait waited.");

    private static readonly Histogram<double> s_createTime = PatternsTelemetry.Meter.CreateHistogram<double>(
        "patterns.pool.create_time", "s", "How long opening took.");

    private static readonly Counter<long> s_timeouts = PatternsTelemetry.Meter.CreateCounter<long>(
        "patterns.pool.timeouts", "{request}", "Callers that got none.");

    private static readonly Counter<long> s_closed = PatternsTelemetry.Meter.CreateCounter<long>(
        "patterns.pool.closed", "{resource}", "Resources that were closed, by reason.");

    private static readonly Counter<long> s_leaks = PatternsTelemetry.Meter.CreateCounter<long>(
        "patterns.pool.leaks", "{loan}", "Loans that were out for too long.");

    private static readonly Counter<long> s_fenced = PatternsTelemetry.Meter.CreateCounter<long>(
        "patterns.pool.fenced", "{call}", "Calls refused because the permit was lost.");

    private readonly KeyValuePair<string, object?>[] _tags;
    private readonly Func<PoolCounts> _read;

    static PoolTelemetry()
    {
        PatternsTelemetry.Meter.CreateObservableUpDownCounter("patterns.pool.count", () => s_pools.Keys.SelectMany(pool => pool.ReadCounts()), "{resource}", "Open resources by state.");
        PatternsTelemetry.Meter.CreateObservableUpDownCounter("patterns.pool.max", () => s_pools.Keys.Select(pool => new Measurement<int>(pool._read().Capacity, pool._tags)), "{resource}", "How many there may be.");
        PatternsTelemetry.Meter.CreateObservableUpDownCounter("patterns.pool.pending_requests", () => s_pools.Keys.Select(pool => new Measurement<int>(pool._read().Waiting, pool._tags)), "{request}", "Callers in line.");
    }

    public PoolTelemetry(string pool, string variant, Func<PoolCounts> read)
    {
        _tags = [new(PatternsTelemetry.PatternTag, Pattern), new(PatternsTelemetry.VariantTag, variant), new("patterns.pool.name", pool)];
        _read = read;
        s_pools.TryAdd(this, true);
    }

    public static void Fenced(string pool) => s_fenced.Add(1,
        [new(PatternsTelemetry.PatternTag, Pattern), new(PatternsTelemetry.VariantTag, Variants.Distributed), new("patterns.pool.name", pool)]);

    public void Waited(TimeSpan time) => s_waitTime.Record(time.TotalSeconds, _tags);

    public void Opened(TimeSpan time) => s_createTime.Record(time.TotalSeconds, _tags);

    public void Exhausted() => s_timeouts.Add(1, _tags);

    public void Closed(CloseReason reason) => s_closed.Add(1, [.. _tags, new("patterns.reason", reason.ToString())]);

    public void Leaked() => s_leaks.Add(1, _tags);

    public void Dispose() => s_pools.TryRemove(this, out _);

    private IEnumerable<Measurement<int>> ReadCounts()
    {
        var counts = _read();
        yield return new(counts.Active, [.. _tags, new("state", "used")]);
        yield return new(counts.Idle, [.. _tags, new("state", "idle")]);
        yield return new(counts.Opening, [.. _tags, new("state", "opening")]);
    }
}
