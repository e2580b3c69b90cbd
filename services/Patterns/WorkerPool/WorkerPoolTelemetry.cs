using System.Diagnostics;
using System.Diagnostics.Metrics;
using DistributedPatterns.Diagnostics;

namespace DistributedPatterns.WorkerPool;

/// <summary>Spans and metrics of the attempts.</summary>
internal static class WorkerPoolTelemetry
{
    private const string Pattern = "worker-pool";

    private static readonly UpDownCounter<long> s_active = PatternsTelemetry.Meter.CreateUpDownCounter<long>(
        "patterns.worker.active", "{job}", "Jobs that are running.");

    private static readonly Histogram<double> s_duration = PatternsTelemetry.Meter.CreateHistogram<double>(
        "messaging.process.duration", "s", "Duration of processing operation.");

    /// <summary>Starts the span of an attempt. It is linked to the submit, not its child: the submitter's trace may be over by then.</summary>
    public static Activity? StartProcess(string job, string variant, JobContext context, ActivityContext createdIn)
    {
        var activity = PatternsTelemetry.Source.StartActivity(
            "process jobs", ActivityKind.Consumer, default(ActivityContext), links: createdIn == default ? null : [new ActivityLink(createdIn)]);
        activity?.SetTag(PatternsTelemetry.PatternTag, Pattern).SetTag(PatternsTelemetry.VariantTag, variant)
            .SetTag("messaging.operation.name", "process").SetTag("messaging.destination.name", "jobs").SetTag("messaging.message.id", context.Id)
            .SetTag("patterns.job", job).SetTag("patterns.attempt", context.Attempt);
        return activity;
    }

    public static Measured Begin(string job, string variant, TimeProvider time) => new(job, variant, time);

    /// <summary>Counts an attempt while it runs.</summary>
    public sealed class Measured : IDisposable
    {
        private readonly TimeProvider _time;
        private readonly long _since;
        private readonly TagList _tags;
        private string? _error;

        public Measured(string job, string variant, TimeProvider time)
        {
            _time = time;
            _since = time.GetTimestamp();
            _tags = new() { { PatternsTelemetry.PatternTag, Pattern }, { PatternsTelemetry.VariantTag, variant }, { "patterns.job", job } };
            s_active.Add(1, _tags);
        }

        public void Fail(Exception error) => _error = error.GetType().FullName;

        public void Dispose()
        {
            s_active.Add(-1, _tags);
            var tags = _tags;
            if (_error is not null) tags.Add("error.type", _error);
            s_duration.Record(_time.GetElapsedTime(_since).TotalSeconds, tags);
        }
    }
}
