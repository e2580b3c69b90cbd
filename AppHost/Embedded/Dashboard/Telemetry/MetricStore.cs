using Aspire.Hosting.Dashboard.Telemetry.Protocol;
using Google.Protobuf.Collections;

namespace Aspire.Hosting.Dashboard.Telemetry;

/// <summary>The series of all instruments, each with its latest points. Thread-safe.</summary>
/// <remarks>Beyond the limit of series a new one takes the place of those that have been silent for long, or is refused.</remarks>
internal sealed class MetricStore(TimeProvider time, TelemetryLimits limits)
{
    private static readonly TimeSpan s_silence = TimeSpan.FromMinutes(10);
    private static readonly TimeSpan s_sweepEvery = TimeSpan.FromSeconds(10);

    private readonly DateTime _startedAt = time.GetUtcNow().UtcDateTime;
    private readonly Lock _gate = new();
    private readonly Dictionary<(TelemetryResource Resource, string Meter, string Name, string Attributes), MetricSeries> _series = [];
    private DateTime _sweptAt;

    private readonly record struct Incoming(RepeatedField<KeyValue> Attributes, ulong StartedAt, double[] Bounds, MetricPoint Point);

    /// <summary>Takes in the points of one metric.</summary>
    /// <returns>How many were taken, and how many refused.</returns>
    public (int Taken, int Refused) Add(
        TelemetryResource resource, string meter, Metric metric, Func<RepeatedField<KeyValue>, KeyValuePair<string, string>[]> read)
    {
        var (kind, temporality, points) = metric.DataCase switch
        {
            Metric.DataOneofCase.Gauge => (InstrumentKind.Gauge, default, Numbers(metric.Gauge.DataPoints)),
            Metric.DataOneofCase.Sum => (metric.Sum.IsMonotonic ? InstrumentKind.Counter : InstrumentKind.UpDownCounter,
                metric.Sum.AggregationTemporality, Numbers(metric.Sum.DataPoints)),
            Metric.DataOneofCase.Histogram => (InstrumentKind.Histogram, metric.Histogram.AggregationTemporality, metric.Histogram.DataPoints.Select(Read)),
            // Its buckets change their bounds as values come, so they are left out: count, sum and average remain.
            Metric.DataOneofCase.ExponentialHistogram => (InstrumentKind.Histogram, metric.ExponentialHistogram.AggregationTemporality,
                metric.ExponentialHistogram.DataPoints.Select(p => new Incoming(p.Attributes, p.StartTimeUnixNano, [], new(Time(p.TimeUnixNano), p.Sum, p.Count)))),
            _ => (default, default, []),
        };
        var instrument = new Instrument(meter, metric.Name, metric.Unit, metric.Description, kind);
        var (taken, refused) = (0, metric.Summary?.DataPoints.Count ?? 0);
        foreach (var (attributes, startedAt, bounds, point) in points)
        {
            if (!double.IsFinite(point.Value))
            {
                refused++;
                continue;
            }

            var texts = read(attributes);
            lock (_gate)
            {
                var series = Find(instrument, resource, texts, bounds);
                series?.Add(point, temporality == AggregationTemporality.Delta, Time(startedAt) >= _startedAt);
                if (series is null) refused++;
                else taken++;
            }
        }

        return (taken, refused);
    }

    /// <summary>Returns the instruments of the processes that a name means, of all where it is <see langword="null"/>.</summary>
    public IReadOnlyList<Instrument> Instruments(string? resource)
    {
        lock (_gate)
        {
            return [.. _series.Where(s => s.Key.Resource.Is(resource)).Select(s => s.Value.Instrument)
                .DistinctBy(i => (i.Meter, i.Name)).OrderBy(i => i.Meter, StringComparer.Ordinal).ThenBy(i => i.Name, StringComparer.Ordinal)];
        }
    }

    /// <summary>Returns the series of an instrument in the processes that a name means.</summary>
    public IReadOnlyList<SeriesView> Series(string? resource, string meter, string instrument)
    {
        lock (_gate)
        {
            return [.. _series.Where(s => s.Key.Meter == meter && s.Key.Name == instrument && s.Key.Resource.Is(resource)).Select(s => s.Value.View())];
        }
    }

    private MetricSeries? Find(Instrument instrument, TelemetryResource resource, KeyValuePair<string, string>[] attributes, double[] bounds)
    {
        Array.Sort(attributes, (a, b) => string.CompareOrdinal(a.Key, b.Key));
        var key = (resource, instrument.Meter, instrument.Name, string.Join('\n', attributes.Select(a => $"{a.Key}\t{a.Value}")));
        if (_series.TryGetValue(key, out var known))
        {
            if (known.Instrument.Kind == instrument.Kind && known.Bounds.AsSpan().SequenceEqual(bounds)) return known;
        }
        else if (_series.Count >= limits.Series && !Sweep())
        {
            return null;
        }

        return _series[key] = new(instrument, resource, attributes, bounds, limits.Points);
    }

    private bool Sweep()
    {
        var now = time.GetUtcNow().UtcDateTime;
        if (now - _sweptAt < s_sweepEvery) return false;
        _sweptAt = now;
        foreach (var (key, series) in _series)
        {
            if (now - series.LastTime > s_silence) _series.Remove(key);
        }

        return _series.Count < limits.Series;
    }

    private static IEnumerable<Incoming> Numbers(IEnumerable<NumberDataPoint> points) => points
        .Where(p => p.ValueCase != NumberDataPoint.ValueOneofCase.None) // none was recorded
        .Select(p => new Incoming(p.Attributes, p.StartTimeUnixNano, [],
            new(Time(p.TimeUnixNano), p.ValueCase == NumberDataPoint.ValueOneofCase.AsInt ? p.AsInt : p.AsDouble)));

    private Incoming Read(HistogramDataPoint point)
    {
        var hasBuckets = point.BucketCounts.Count == point.ExplicitBounds.Count + 1 && point.ExplicitBounds.Count <= limits.Items && point.ExplicitBounds.All(double.IsFinite);
        return new(point.Attributes, point.StartTimeUnixNano, hasBuckets ? [.. point.ExplicitBounds] : [],
            new(Time(point.TimeUnixNano), point.Sum, point.Count, hasBuckets ? [.. point.BucketCounts.Select(n => (double)n)] : null));
    }

    private static DateTime Time(ulong unixNanoseconds) => DateTime.UnixEpoch.AddTicks((long)(unixNanoseconds / 100));
}
