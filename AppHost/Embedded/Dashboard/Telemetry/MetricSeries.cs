namespace Aspire.Hosting.Dashboard.Telemetry;

internal enum InstrumentKind
{
    /// <summary>A value as it is.</summary>
    Gauge,

    /// <summary>A sum that goes up and down: a value as it is, too.</summary>
    UpDownCounter,

    /// <summary>A sum that only rises: what matters is how fast.</summary>
    Counter,

    /// <summary>Many values, counted in buckets.</summary>
    Histogram,
}

internal sealed record Instrument(string Meter, string Name, string Unit, string Description, InstrumentKind Kind);

/// <summary>What a series had summed up to by a time, since it began.</summary>
/// <param name="Value">The value; of a histogram, the sum of its values.</param>
/// <param name="Count">Of a histogram, how many values.</param>
/// <param name="Buckets">Of a histogram, the values in each bucket.</param>
internal readonly record struct MetricPoint(DateTime Time, double Value, double Count = 0, double[]? Buckets = null)
{
    /// <summary>What was added from one point to a later one. A sum that fell began again, so all of it was added.</summary>
    public MetricPoint Since(MetricPoint before, InstrumentKind kind)
    {
        if (kind == InstrumentKind.Histogram ? Count < before.Count : Value < before.Value) return this;
        return new(Time, Value - before.Value, Count - before.Count, Combine(Buckets, before.Buckets, -1));
    }

    public MetricPoint Plus(MetricPoint more) => new(more.Time, Value + more.Value, Count + more.Count, Combine(more.Buckets, Buckets, 1));

    private static double[]? Combine(double[]? buckets, double[]? others, int sign) =>
        buckets is null || others?.Length != buckets.Length ? buckets : [.. buckets.Zip(others, (bucket, other) => bucket + sign * other)];
}

/// <summary>One instrument's values of one process, with one set of attributes. Not thread-safe: <see cref="MetricStore"/> is.</summary>
/// <remarks>
/// Sums and histograms are kept as totals, whatever the exporter sends: deltas are added up. Of totals the first point says
/// little, for it may hold what happened long before. Only if they begin after this host did, everything in it is new.
/// </remarks>
internal sealed class MetricSeries(
    Instrument instrument, TelemetryResource resource, KeyValuePair<string, string>[] attributes, double[] bounds, int capacity)
{
    private readonly Queue<MetricPoint> _points = new();
    private MetricPoint _last;

    public Instrument Instrument => instrument;

    public double[] Bounds => bounds;

    public DateTime LastTime => _last.Time;

    /// <summary>Takes a point in; one that is not later than the last is a repetition and changes nothing.</summary>
    public void Add(MetricPoint point, bool isDelta, bool beganHere)
    {
        if (point.Time <= _last.Time) return;
        if (_points.Count == 0 && (isDelta || beganHere) && instrument.Kind >= InstrumentKind.Counter)
            _points.Enqueue(new(point.Time.AddSeconds(-1), 0, 0, point.Buckets is null ? null : new double[point.Buckets.Length]));
        if (isDelta) point = _last.Plus(point);
        // Most histograms stand still most of the time; their points then share one array.
        _last = point.Count == _last.Count && _points.Count > 0 ? point with { Buckets = _last.Buckets } : point;
        _points.Enqueue(_last);
        while (_points.Count > capacity) _points.Dequeue();
    }

    public SeriesView View() => new(instrument, resource, attributes, bounds, [.. _points]);
}

/// <summary>A series as it was at one moment.</summary>
internal sealed record SeriesView(
    Instrument Instrument, TelemetryResource Resource, IReadOnlyList<KeyValuePair<string, string>> Attributes, double[] Bounds, MetricPoint[] Points);
