using Aspire.Hosting.Dashboard.Telemetry;
using Aspire.Hosting.Dashboard.Telemetry.Protocol;
using Microsoft.Extensions.Time.Testing;
using static Aspire.Hosting.Dashboard.Telemetry.Protocol.AggregationTemporality;
using Resource = Aspire.Hosting.Dashboard.Telemetry.Protocol.Resource;

namespace DistributedPatterns.Tests.Dashboard;

/// <summary>From what exporters send to what charts show.</summary>
public sealed class MetricTests
{
    private static readonly Resource s_process = Otlp.Process("worker", "abc");
    private static readonly Window s_tenSeconds = new(Otlp.Start.UtcDateTime, TimeSpan.FromSeconds(1), 10);

    private readonly FakeTimeProvider _time = new(Otlp.Start);

    private TelemetryStore Store(TelemetryLimits? limits = null) => new(_time, limits ?? new());

    private static SeriesView Single(TelemetryStore store, string name) => Assert.Single(store.Metrics.Series("worker-abc", "Test", name));

    [Theory]
    [InlineData(false, 4, 6, 6, 9)]
    [InlineData(true, 4, 2, 0, 3)]
    public void Counter_EitherTemporality_HasTotalsAndRates(bool isDelta, double first, double second, double third, double fourth)
    {
        var store = Store();

        foreach (var (at, value) in new[] { (1.5, first), (2.5, second), (3.5, third), (5.5, fourth) })
            store.Add(Otlp.Metrics(s_process, Otlp.Counter(at, value, isDelta ? Delta : Cumulative)));

        var series = Single(store, "counter");
        Assert.Equal(9, series.Points[^1].Value);
        Assert.Equal([null, 4, 2, 0, null, 1.5, null, null, null, null], MetricMath.Rates(series, s_tenSeconds));
    }

    [Fact]
    public void Counter_ThatBeganBeforeTheHost_ItsFirstTotalIsNoIncrease()
    {
        var store = Store();

        store.Add(Otlp.Metrics(s_process, Otlp.Counter(1.5, 1_000, Cumulative, start: -60)));
        store.Add(Otlp.Metrics(s_process, Otlp.Counter(2.5, 1_001, Cumulative, start: -60)));

        Assert.Equal([null, null, 1], MetricMath.Rates(Single(store, "counter"), s_tenSeconds).Take(3));
    }

    [Fact]
    public void Counter_ThatBeginsAnew_IsNoNegativeRate()
    {
        var store = Store();

        store.Add(Otlp.Metrics(s_process, Otlp.Counter(1.5, 100, Cumulative)));
        store.Add(Otlp.Metrics(s_process, Otlp.Counter(2.5, 3, Cumulative, start: 2)));

        Assert.Equal(3, MetricMath.Rates(Single(store, "counter"), s_tenSeconds)[2]);
    }

    [Fact]
    public void Point_SentAgain_CountsOnce()
    {
        var store = Store();

        for (var i = 0; i < 3; i++) store.Add(Otlp.Metrics(s_process, Otlp.Counter(1, 5, Delta)));

        Assert.Equal(5, Single(store, "counter").Points[^1].Value);
    }

    [Fact]
    public void Points_BeyondTheLimit_OldestMakeRoom()
    {
        var store = Store(new() { Points = 4 });

        for (var i = 1; i <= 10; i++) store.Add(Otlp.Metrics(s_process, Otlp.Counter(i, i, Cumulative)));

        Assert.Equal([7, 8, 9, 10], Single(store, "counter").Points.Select(point => point.Value));
    }

    [Fact]
    public void Series_BeyondTheLimit_AreRefusedUntilOthersAreSilent()
    {
        var store = Store(new() { Series = 2 });
        store.Add(Otlp.Metrics(s_process, Otlp.Counter(1, 1, Cumulative, series: "a"), Otlp.Counter(1, 1, Cumulative, series: "b")));

        Assert.Equal(1, store.Add(Otlp.Metrics(s_process, Otlp.Counter(2, 1, Cumulative, series: "c"))));
        Assert.Equal(0, store.Add(Otlp.Metrics(s_process, Otlp.Counter(300, 2, Cumulative, series: "a"))));
        _time.Advance(TimeSpan.FromMinutes(11));
        Assert.Equal(0, store.Add(Otlp.Metrics(s_process, Otlp.Counter(660, 1, Cumulative, series: "c"))));

        Assert.Equal(["a", "c"], store.Metrics.Series(null, "Test", "counter").Select(series => series.Attributes[0].Value).Order());
    }

    [Theory]
    [InlineData(false, new ulong[] { 4, 0, 0, 0 }, new ulong[] { 4, 8, 0, 4 })]
    [InlineData(true, new ulong[] { 4, 0, 0, 0 }, new ulong[] { 0, 8, 0, 4 })]
    public void Histogram_EitherTemporality_HasItsPercentilesPerSlot(bool isDelta, ulong[] first, ulong[] second)
    {
        var store = Store();
        store.Add(Otlp.Metrics(s_process, Otlp.Histogram(1.5, first, isDelta ? Delta : Cumulative)));
        store.Add(Otlp.Metrics(s_process, Otlp.Histogram(2.5, second, isDelta ? Delta : Cumulative)));
        var series = Single(store, "histogram");

        var slots = MetricMath.Distributions([series], s_tenSeconds);

        Assert.Equal([false, true, true, false], slots.Take(4).Select(slot => slot is not null));
        Assert.Equal(0.5, MetricMath.Percentile(series.Bounds, slots[1]!.Value.Buckets, 0.5)); // 2 of 4 in 0..1
        Assert.Equal(1.75, MetricMath.Percentile(series.Bounds, slots[2]!.Value.Buckets, 0.5)); // 6 of 12: 6 of the 8 in 1..2
        Assert.Equal(4, MetricMath.Percentile(series.Bounds, slots[2]!.Value.Buckets, 0.99)); // beyond the last bound
        Assert.Equal([4, 12], MetricMath.Rates(series, s_tenSeconds).Skip(1).Take(2));
    }

    [Fact]
    public void Histograms_OfSeveralProcesses_AddUp()
    {
        var store = Store();
        foreach (var instance in new[] { "a", "b" })
            store.Add(Otlp.Metrics(Otlp.Process("worker", instance), Otlp.Histogram(1.5, instance == "a" ? [1, 0, 0, 0] : [0, 0, 1, 0], Delta)));

        var slots = MetricMath.Distributions(store.Metrics.Series("worker", "Test", "histogram"), s_tenSeconds);

        Assert.Equal((2, 20), (slots[1]!.Value.Count, slots[1]!.Value.Value));
        Assert.Equal([1, 0, 1, 0], slots[1]!.Value.Buckets!);
    }

    [Theory]
    [InlineData(new double[] { 0, 0, 0, 0 }, 0.5, null)]
    [InlineData(new double[] { 10, 0, 0, 0 }, 1, 10.0)]
    [InlineData(new double[] { 10, 0, 0, 0 }, 0.1, 1.0)]
    [InlineData(new double[] { 5, 0, 5, 0 }, 0.5, 10.0)]
    [InlineData(new double[] { 5, 0, 5, 0 }, 0.9, 36.0)]
    [InlineData(new double[] { 0, 0, 0, 7 }, 0.5, 40.0)]
    public void Percentile_OfBuckets_IsLinearWithinOne(double[] buckets, double rank, double? expected) =>
        Assert.Equal(expected, MetricMath.Percentile([10, 20, 40], buckets, rank));

    [Fact]
    public void Percentile_WithoutBuckets_IsUnknown()
    {
        Assert.Null(MetricMath.Percentile([], [3], 0.5));
        Assert.Null(MetricMath.Percentiles([], null));
    }

    [Fact]
    public void ExponentialHistogram_HasCountAndSumWithoutBuckets()
    {
        var store = Store();
        store.Add(Otlp.Metrics(s_process, new Metric
        {
            Name = "exponential",
            ExponentialHistogram = new() { AggregationTemporality = Delta, DataPoints = { new ExponentialHistogramDataPoint { TimeUnixNano = Otlp.Nanos(1), Count = 3, Sum = 12 } } },
        }));

        var point = Single(store, "exponential").Points[^1];
        Assert.Equal((3, 12, null), (point.Count, point.Value, point.Buckets));
    }

    [Fact]
    public void Summary_IsRefused()
    {
        var store = Store();

        Assert.Equal(1, store.Add(Otlp.Metrics(s_process, new Metric { Name = "old", Summary = new() { DataPoints = { new SummaryDataPoint() } } })));

        Assert.Empty(store.Metrics.Instruments(null));
    }

    [Theory]
    [InlineData(double.NaN)]
    [InlineData(double.PositiveInfinity)]
    public void Value_ThatIsNoNumber_IsRefused(double value)
    {
        var store = Store();

        Assert.Equal(1, store.Add(Otlp.Metrics(s_process, Otlp.Counter(1, value, Cumulative))));

        Assert.Empty(store.Metrics.Instruments(null));
    }

    [Fact]
    public void Gauge_IsWhatItWasLast()
    {
        var store = Store();
        foreach (var (at, value) in new[] { (1.1, 7), (1.9, 8), (3.5, -2) })
            store.Add(Otlp.Metrics(s_process, new Metric { Name = "gauge", Gauge = new() { DataPoints = { new NumberDataPoint { TimeUnixNano = Otlp.Nanos(at), AsInt = value } } } }));

        Assert.Equal([null, 8, null, -2, null], MetricMath.Values(Single(store, "gauge"), s_tenSeconds).Take(5));
    }
}
