using System.Diagnostics;
using System.Diagnostics.Metrics;
using DistributedPatterns.Diagnostics;

namespace DistributedPatterns.Pipeline.Engine;

/// <summary>Counts what one stage of one run does and where its time goes. Updated once a chunk, so it costs next to nothing an item.</summary>
internal sealed class StageMeter(string name)
{
    private static readonly Counter<double> s_duration = PatternsTelemetry.Meter.CreateCounter<double>(
        "patterns.stage.duration", "s", "Time that a pipeline's stage was busy, starved of input or blocked by the next stage");

    private long _in, _out, _skipped, _diverted, _retried, _busy, _starved, _blocked;
    private long _publishedBusy, _publishedStarved, _publishedBlocked;

    public string Name { get; } = name;

    public long Skipped => Volatile.Read(ref _skipped);

    public long Diverted => Volatile.Read(ref _diverted);

    public void Passed(int taken, int handedOn)
    {
        Interlocked.Add(ref _in, taken);
        Interlocked.Add(ref _out, handedOn);
    }

    public void Skip() => Interlocked.Increment(ref _skipped);

    public void Divert() => Interlocked.Increment(ref _diverted);

    public void Retry() => Interlocked.Increment(ref _retried);

    public void Busy(TimeSpan time) => Interlocked.Add(ref _busy, time.Ticks);

    public void Starved(TimeSpan time) => Interlocked.Add(ref _starved, time.Ticks);

    public void Blocked(TimeSpan time) => Interlocked.Add(ref _blocked, time.Ticks);

    /// <summary>Adds what another process counted for this stage.</summary>
    public void Add(StageReport report)
    {
        Passed((int)report.In, (int)report.Out);
        Interlocked.Add(ref _skipped, report.Skipped);
        Interlocked.Add(ref _diverted, report.Diverted);
        Interlocked.Add(ref _retried, report.Retried);
        Busy(report.Busy);
        Starved(report.Starved);
        Blocked(report.Blocked);
    }

    public StageReport Read() => new(
        Name, Volatile.Read(ref _in), Volatile.Read(ref _out), Skipped, Diverted, Volatile.Read(ref _retried),
        new(Volatile.Read(ref _busy)), new(Volatile.Read(ref _starved)), new(Volatile.Read(ref _blocked)));

    /// <summary>Adds what was counted since the last call to the process's metrics. One caller at a time.</summary>
    public void Publish(string pipeline, string variant)
    {
        Publish("busy", Volatile.Read(ref _busy), ref _publishedBusy);
        Publish("starved", Volatile.Read(ref _starved), ref _publishedStarved);
        Publish("blocked", Volatile.Read(ref _blocked), ref _publishedBlocked);

        void Publish(string state, long now, ref long before)
        {
            if (now == before) return;
            s_duration.Add(new TimeSpan(now - before).TotalSeconds, new TagList
            {
                { PatternsTelemetry.PatternTag, "pipeline" },
                { PatternsTelemetry.VariantTag, variant },
                { "patterns.pipeline", pipeline },
                { "patterns.stage", Name },
                { "state", state },
            });
            before = now;
        }
    }
}
