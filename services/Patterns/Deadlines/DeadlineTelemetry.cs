using System.Diagnostics.Metrics;
using DistributedPatterns.Diagnostics;

namespace DistributedPatterns.Deadlines;

/// <summary>The pattern's own metrics.</summary>
internal static class DeadlineTelemetry
{
    public const string Pattern = "deadlines";

    private static readonly Counter<long> s_calls = PatternsTelemetry.Meter.CreateCounter<long>(
        "patterns.deadline.calls", "{call}", "Operations that ended, by how: done, failed, refused, caller, deadline, shutdown or sibling.");

    private static readonly Histogram<double> s_remaining = PatternsTelemetry.Meter.CreateHistogram<double>(
        "patterns.deadline.remaining", "s", "What was left of the budget when an operation began.");

    private static readonly Histogram<double> s_overrun = PatternsTelemetry.Meter.CreateHistogram<double>(
        "patterns.deadline.overrun", "s", "How long after its deadline a caller heard.");

    private static readonly UpDownCounter<long> s_leftBehind = PatternsTelemetry.Meter.CreateUpDownCounter<long>(
        "patterns.zombie.active", "{run}", "Work that runs on although it was cancelled.");

    private static readonly Counter<long> s_detached = PatternsTelemetry.Meter.CreateCounter<long>(
        "patterns.deadline.detached", "{run}", "Work that was meant to outlive its caller, by name and how it ended.");

    public static void Count(string variant, string operation, string result) => s_calls.Add(1,
        new(PatternsTelemetry.PatternTag, Pattern), new(PatternsTelemetry.VariantTag, variant), new("patterns.deadline.operation", operation), new("result", result));

    public static void RecordRemaining(string variant, string operation, TimeSpan remaining) => s_remaining.Record(remaining.TotalSeconds,
        new(PatternsTelemetry.PatternTag, Pattern), new(PatternsTelemetry.VariantTag, variant), new("patterns.deadline.operation", operation));

    public static void RecordOverrun(TimeSpan overrun) => s_overrun.Record(overrun.TotalSeconds, new KeyValuePair<string, object?>(PatternsTelemetry.PatternTag, Pattern));

    public static void LeftBehind(int change) => s_leftBehind.Add(change, new KeyValuePair<string, object?>(PatternsTelemetry.PatternTag, Pattern));

    public static void CountDetached(string name, string result) => s_detached.Add(1,
        new(PatternsTelemetry.PatternTag, Pattern), new("patterns.deadline.detached", name), new("result", result));
}
