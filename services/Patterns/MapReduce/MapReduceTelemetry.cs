using System.Diagnostics;
using System.Diagnostics.Metrics;
using DistributedPatterns.Diagnostics;

namespace DistributedPatterns.MapReduce;

/// <summary>The pattern's own metrics and spans.</summary>
internal static class MapReduceTelemetry
{
    public const string Pattern = "map-reduce";
    public const string Map = "map";
    public const string Reduce = "reduce";
    public const string Committed = "committed";
    public const string Discarded = "discarded";
    public const string Failed = "failed";
    public const string Stopped = "stopped";

    private static readonly Counter<long> s_tasks = PatternsTelemetry.Meter.CreateCounter<long>(
        "patterns.mapreduce.tasks", "{task}", "Attempts of tasks, by what came of them: committed, discarded for another attempt, failed, stopped.");

    private static readonly Counter<long> s_backups = PatternsTelemetry.Meter.CreateCounter<long>(
        "patterns.mapreduce.backups", "{task}", "Second attempts started beside a slow first one.");

    private static readonly Counter<long> s_pairs = PatternsTelemetry.Meter.CreateCounter<long>(
        "patterns.mapreduce.pairs", "{pair}", "Pairs of completed jobs: emitted by mappers, and handed on to reducers after the combiner.");

    private static readonly Counter<long> s_jobs = PatternsTelemetry.Meter.CreateCounter<long>(
        "patterns.mapreduce.jobs", "{job}", "Jobs that ended, by how.");

    public static void CountTask(string variant, string phase, string result) => s_tasks.Add(1, new TagList
    {
        { PatternsTelemetry.PatternTag, Pattern }, { PatternsTelemetry.VariantTag, variant }, { "phase", phase }, { "result", result },
    });

    public static void CountBackup(string phase) => s_backups.Add(1, new TagList
    {
        { PatternsTelemetry.PatternTag, Pattern }, { PatternsTelemetry.VariantTag, Variants.Distributed }, { "phase", phase },
    });

    public static void CountJob(string variant, MapReduceStatus status)
    {
        s_jobs.Add(1, new TagList
        {
            { PatternsTelemetry.PatternTag, Pattern }, { PatternsTelemetry.VariantTag, variant }, { "result", status.State.ToString().ToLowerInvariant() },
        });
        if (status.Report is not { } report) return;
        CountPairs("emitted", report.Emitted);
        CountPairs("shuffled", report.Shuffled);

        void CountPairs(string kind, long count) => s_pairs.Add(count, new TagList
        {
            { PatternsTelemetry.PatternTag, Pattern }, { PatternsTelemetry.VariantTag, variant }, { "kind", kind },
        });
    }

    public static Activity? Start(string operation, string variant, string job, ActivityContext parent = default)
    {
        var activity = PatternsTelemetry.Source.StartActivity(operation, ActivityKind.Internal, parent);
        activity?.SetTag(PatternsTelemetry.PatternTag, Pattern);
        activity?.SetTag(PatternsTelemetry.VariantTag, variant);
        activity?.SetTag("patterns.mapreduce.job", job);
        return activity;
    }
}
