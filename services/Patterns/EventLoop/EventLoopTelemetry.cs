using System.Diagnostics;
using System.Diagnostics.Metrics;
using DistributedPatterns.Diagnostics;

namespace DistributedPatterns.EventLoop;

/// <summary>Spans and metrics of the loops.</summary>
internal static class EventLoopTelemetry
{
    private const string Pattern = "event-loop";

    private static readonly Histogram<double> s_lag = PatternsTelemetry.Meter.CreateHistogram<double>(
        "patterns.loop.lag", "s", "How long an event waited for its turn.");

    private static readonly Counter<long> s_slow = PatternsTelemetry.Meter.CreateCounter<long>(
        "patterns.loop.slow_turns", "{turn}", "Turns above the limit.");

    private static readonly Counter<long> s_dead = PatternsTelemetry.Meter.CreateCounter<long>(
        "patterns.loop.dead", "{event}", "Events whose handler failed in every attempt.");

    private static readonly Counter<long> s_fenced = PatternsTelemetry.Meter.CreateCounter<long>(
        "patterns.loop.fenced", "{write}", "Writes refused because their writer had been replaced.");

    private static readonly Counter<long> s_epochs = PatternsTelemetry.Meter.CreateCounter<long>(
        "patterns.loop.epochs", "{epoch}", "Partitions that this process became the owner of.");

    public static void Lag(string variant, TimeSpan lag)
    {
        if (s_lag.Enabled) s_lag.Record(lag.TotalSeconds, Tags(variant));
    }

    public static void Slow(string variant, string handler) => s_slow.Add(1, [.. Tags(variant), new("patterns.handler", handler)]);

    public static void Dead(string variant, string handler) => s_dead.Add(1, [.. Tags(variant), new("patterns.handler", handler)]);

    public static void Fenced(string variant) => s_fenced.Add(1, Tags(variant));

    public static void Owned(string variant) => s_epochs.Add(1, Tags(variant));

    /// <summary>Starts the span of a batch, linked to the posts that it serves: their traces may be over by then.</summary>
    public static Activity? StartBatch(string variant, int partition, IEnumerable<ActivityContext> posts)
    {
        if (!PatternsTelemetry.Source.HasListeners()) return null;
        var activity = PatternsTelemetry.Source.StartActivity(
            "process events", ActivityKind.Consumer, default(ActivityContext), links: [.. posts.Distinct().Select(post => new ActivityLink(post))]);
        return activity?.SetTag(PatternsTelemetry.PatternTag, Pattern).SetTag(PatternsTelemetry.VariantTag, variant)
            .SetTag("messaging.operation.name", "process").SetTag("messaging.destination.name", "events").SetTag("messaging.destination.partition.id", partition);
    }

    private static KeyValuePair<string, object?>[] Tags(string variant) => [new(PatternsTelemetry.PatternTag, Pattern), new(PatternsTelemetry.VariantTag, variant)];
}
