using System.Diagnostics;
using System.Diagnostics.Metrics;
using DistributedPatterns.Diagnostics;

namespace DistributedPatterns.Supervision;

/// <summary>Spans and metrics of the supervisors.</summary>
internal static class SupervisionTelemetry
{
    private const string Pattern = "supervision";

    private static readonly Counter<long> s_restarts = PatternsTelemetry.Meter.CreateCounter<long>(
        "patterns.supervisor.restarts", "{restart}", "Starts that follow a failure.");

    private static readonly Counter<long> s_escalations = PatternsTelemetry.Meter.CreateCounter<long>(
        "patterns.supervisor.escalations", "{escalation}", "How often a supervisor gave up.");

    private static readonly Counter<long> s_fenced = PatternsTelemetry.Meter.CreateCounter<long>(
        "patterns.supervisor.fenced", "{write}", "Writes refused because the child had been replaced.");

    public static void Restarts(string variant, SupervisionStrategy strategy, long count = 1)
    {
        if (count > 0) s_restarts.Add(count, [.. Tags(variant), new("patterns.strategy", strategy.ToString())]);
    }

    public static void Escalated(string variant) => s_escalations.Add(1, Tags(variant));

    public static void Fenced(string variant, string child) => s_fenced.Add(1, [.. Tags(variant), new("patterns.child", child)]);

    /// <summary>Marks a start: a span of its own, for what a child does lasts longer than any trace.</summary>
    /// <param name="after">Why the start before this one ended, where that is known.</param>
    public static void Started(string variant, string child, long epoch, string? after = null)
    {
        using var activity = PatternsTelemetry.Source.StartActivity("start child", ActivityKind.Internal, default(ActivityContext));
        activity?.SetTag(PatternsTelemetry.PatternTag, Pattern).SetTag(PatternsTelemetry.VariantTag, variant)
            .SetTag("patterns.child", child).SetTag("patterns.epoch", epoch).SetTag("patterns.reason", after);
    }

    private static KeyValuePair<string, object?>[] Tags(string variant) => [new(PatternsTelemetry.PatternTag, Pattern), new(PatternsTelemetry.VariantTag, variant)];
}
