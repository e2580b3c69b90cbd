using System.Diagnostics;
using System.Diagnostics.Metrics;
using DistributedPatterns.Diagnostics;

namespace DistributedPatterns.SingleFlight;

/// <summary>Spans and metrics of the pattern.</summary>
internal static class SingleFlightTelemetry
{
    private const string Pattern = "single-flight";

    private static readonly Counter<long> s_calls = PatternsTelemetry.Meter.CreateCounter<long>(
        "patterns.flight.calls", "{call}", "Calls, by how they came to their outcome: led, joined, cached, failed, left, timed-out or refused.");

    private static readonly Counter<long> s_duplicates = PatternsTelemetry.Meter.CreateCounter<long>(
        "patterns.flight.duplicates", "{run}", "Runs whose outcome nobody got, for the lease was over or the key forgotten.");

    public static void Count(string variant, string work, string role, long calls = 1)
    {
        // What asks for a kept result asks often.
        if (calls > 0 && s_calls.Enabled) s_calls.Add(calls, Tag(PatternsTelemetry.PatternTag, Pattern), Tag(PatternsTelemetry.VariantTag, variant), Tag("patterns.work", work), Tag("role", role));
    }

    public static void CountDuplicate(string variant, string work) =>
        s_duplicates.Add(1, Tag(PatternsTelemetry.PatternTag, Pattern), Tag(PatternsTelemetry.VariantTag, variant), Tag("patterns.work", work));

    /// <summary>Begins the span of a run: it belongs to the trace of the call that started it.</summary>
    public static Activity? Lead(string variant, string work, ActivityContext parent) => Tagged(
        PatternsTelemetry.Source.StartActivity("flight lead", ActivityKind.Internal, parent), variant, work);

    /// <summary>Begins the span of waiting for a run elsewhere, with a link to it.</summary>
    public static Activity? Wait(string variant, string work, ActivityContext parent, string? leader) => Tagged(
        PatternsTelemetry.Source.StartActivity(
            "flight wait", ActivityKind.Internal, parent, links: ActivityContext.TryParse(leader, null, isRemote: true, out var link) ? [new ActivityLink(link)] : null),
        variant, work);

    private static Activity? Tagged(Activity? activity, string variant, string work) =>
        activity?.SetTag(PatternsTelemetry.PatternTag, Pattern).SetTag(PatternsTelemetry.VariantTag, variant).SetTag("patterns.work", work);

    private static KeyValuePair<string, object?> Tag(string name, string value) => new(name, value);
}
