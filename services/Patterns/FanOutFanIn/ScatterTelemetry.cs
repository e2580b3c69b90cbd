using System.Diagnostics;
using System.Diagnostics.Metrics;
using DistributedPatterns.Diagnostics;

namespace DistributedPatterns.FanOutFanIn;

/// <summary>The pattern's own metrics.</summary>
internal static class ScatterTelemetry
{
    public const string Pattern = "fan-out-fan-in";
    public const string BranchTag = "patterns.fan_out.branch";

    private const string ResultTag = "result";

    private static readonly Counter<long> s_branches = PatternsTelemetry.Meter.CreateCounter<long>(
        "patterns.fan_out.branches", "{branch}", "Inputs that were fanned out, by what came of them.");

    private static readonly Counter<long> s_retried = PatternsTelemetry.Meter.CreateCounter<long>(
        "patterns.fan_out.retried", "{branch}", "Answers that took more than one attempt, because workers were lost.");

    private static readonly Counter<long> s_hedged = PatternsTelemetry.Meter.CreateCounter<long>(
        "patterns.fan_out.hedged", "{branch}", "Candidates that were asked because the one before was slow or failed.");

    private static readonly Counter<long> s_abandoned = PatternsTelemetry.Meter.CreateCounter<long>(
        "patterns.fan_out.abandoned", "{branch}", "Branches that ignored their cancellation and were left behind.");

    private static readonly Histogram<double> s_stragglers = PatternsTelemetry.Meter.CreateHistogram<double>(
        "patterns.fan_out.straggler_ratio", "1", "Run time of the slowest answer of a gathering over the median.");

    public static void Count(string variant, GatherReport report)
    {
        var tags = Tags(variant, report.Branch);
        Add(s_branches, report.Done, "done");
        Add(s_branches, report.Failed, "failed");
        Add(s_branches, report.Missing, "missing");
        if (report.Retried > 0) s_retried.Add(report.Retried, tags);
        if (report.Abandoned > 0) s_abandoned.Add(report.Abandoned, tags);
        if (report.StragglerRatio > 0) s_stragglers.Record(report.StragglerRatio, tags);

        void Add(Counter<long> counter, long count, string result)
        {
            if (count > 0) counter.Add(count, [.. tags, new(ResultTag, result)]);
        }
    }

    public static void CountHedged(string variant, string branch, int count)
    {
        if (count > 0) s_hedged.Add(count, Tags(variant, branch));
    }

    private static TagList Tags(string variant, string branch) => new()
    {
        { PatternsTelemetry.PatternTag, Pattern },
        { PatternsTelemetry.VariantTag, variant },
        { BranchTag, branch },
    };
}
