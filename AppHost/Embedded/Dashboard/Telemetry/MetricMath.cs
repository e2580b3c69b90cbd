namespace Aspire.Hosting.Dashboard.Telemetry;

/// <summary>A window of time in slots of equal length; what a chart shows for each is made of the points in it.</summary>
internal readonly record struct Window(DateTime From, TimeSpan Slot, int Slots)
{
    public static Window Last(TimeSpan length, int slots, DateTime now) => new(now - length, length / slots, slots);

    public DateTime To => From + Slot * Slots;

    /// <summary>Gets the slot of a time; below 0 or from <see cref="Slots"/> on it is outside.</summary>
    public int Of(DateTime time) => (int)Math.Floor((time - From) / Slot);
}

/// <summary>What charts and tables show of series. <see langword="null"/> stands for a time without a point.</summary>
internal static class MetricMath
{
    /// <summary>Gets the last value of each slot: of gauges and of sums that go up and down.</summary>
    public static double?[] Values(SeriesView series, Window window)
    {
        var values = new double?[window.Slots];
        foreach (var point in series.Points)
        {
            if (window.Of(point.Time) is var slot && slot >= 0 && slot < values.Length) values[slot] = point.Value;
        }

        return values;
    }

    /// <summary>Gets how fast a counter rose in each slot, or how often a histogram was recorded: a second, over the time between points.</summary>
    public static double?[] Rates(SeriesView series, Window window)
    {
        var (sums, seconds) = (new double[window.Slots], new double[window.Slots]);
        ForEachIncrease(series, window, (slot, more, length) =>
        {
            sums[slot] += series.Instrument.Kind == InstrumentKind.Histogram ? more.Count : more.Value;
            seconds[slot] += length.TotalSeconds;
        });
        return [.. sums.Zip(seconds, (sum, length) => length > 0 ? sum / length : (double?)null)];
    }

    /// <summary>Gets what a histogram's series recorded in each slot, together. Series with other bounds than the first are left out.</summary>
    public static MetricPoint?[] Distributions(IReadOnlyList<SeriesView> all, Window window)
    {
        var slots = new MetricPoint?[window.Slots];
        foreach (var series in all.Where(s => s.Bounds.AsSpan().SequenceEqual(all[0].Bounds)))
        {
            ForEachIncrease(series, window, (slot, more, _) =>
            {
                if (more.Count > 0) slots[slot] = slots[slot] is { } before ? before.Plus(more) : more;
            });
        }

        return slots;
    }

    /// <summary>Estimates a percentile: linear within its bucket, from 0 in the first one; in the last, which has no end, its start.</summary>
    /// <param name="rank">From 0 to 1.</param>
    public static double? Percentile(double[] bounds, double[]? buckets, double rank)
    {
        if (buckets is null || bounds.Length == 0 || buckets.Sum() is 0) return null;
        var (below, wanted) = (0.0, rank * buckets.Sum());
        for (var i = 0; i < bounds.Length; i++)
        {
            if (buckets[i] > 0 && below + buckets[i] >= wanted)
            {
                var start = i > 0 ? bounds[i - 1] : Math.Min(0, bounds[0]);
                return start + (bounds[i] - start) * (wanted - below) / buckets[i];
            }

            below += buckets[i];
        }

        return bounds[^1];
    }

    /// <summary>Gets p50, p90 and p99, or nothing where there are no buckets.</summary>
    public static Dictionary<string, double?>? Percentiles(double[] bounds, double[]? buckets) => buckets is null ? null : new()
    {
        ["p50"] = Percentile(bounds, buckets, 0.50),
        ["p90"] = Percentile(bounds, buckets, 0.90),
        ["p99"] = Percentile(bounds, buckets, 0.99),
    };

    private static void ForEachIncrease(SeriesView series, Window window, Action<int, MetricPoint, TimeSpan> add)
    {
        for (var i = 1; i < series.Points.Length; i++)
        {
            var (before, point) = (series.Points[i - 1], series.Points[i]);
            if (window.Of(point.Time) is var slot && slot >= 0 && slot < window.Slots)
                add(slot, point.Since(before, series.Instrument.Kind), point.Time - before.Time);
        }
    }
}
