using System.Collections.Concurrent;
using System.Diagnostics;
using DistributedPatterns.Diagnostics;

namespace DistributedPatterns.FanOutFanIn.Engine;

/// <summary>What all gatherings of one variant share: clock, grace, what is known of the branches, and who was left behind.</summary>
/// <param name="variant">Under which name it counts; <see langword="null"/> where somebody else does.</param>
/// <param name="grace">How long branches have to end once they are cancelled.</param>
/// <param name="maxOpen">How many gatherings may run at the same time.</param>
internal sealed class ScatterHost(string? variant, TimeProvider time, TimeSpan grace, int maxOpen)
{
    private readonly Lock _lock = new();
    private readonly ConcurrentDictionary<Task, byte> _abandoned = [];
    private readonly ConcurrentDictionary<string, BranchLatency> _latencies = new(StringComparer.Ordinal);
    private ScatterStats _stats = new();
    private int _open;

    public TimeProvider Time => time;

    public TimeSpan Grace => grace;

    /// <summary>Gets the sum of all gatherings that have ended.</summary>
    public ScatterStats Stats
    {
        get
        {
            lock (_lock) return _stats with { Open = Volatile.Read(ref _open), StillAbandoned = _abandoned.Count };
        }
    }

    public BranchLatency LatencyOf(string branch) => _latencies.GetOrAdd(branch, static _ => new BranchLatency());

    /// <exception cref="ScatterFullException">As many as allowed are open.</exception>
    public Activity? Begin(string branch)
    {
        if (Interlocked.Increment(ref _open) > maxOpen)
        {
            Interlocked.Decrement(ref _open);
            throw new ScatterFullException(maxOpen);
        }
        if (variant is null) return null;
        var activity = PatternsTelemetry.Source.StartActivity("fan out");
        activity?.SetTag(PatternsTelemetry.PatternTag, ScatterTelemetry.Pattern);
        activity?.SetTag(PatternsTelemetry.VariantTag, variant);
        activity?.SetTag(ScatterTelemetry.BranchTag, branch);
        return activity;
    }

    public void End(Activity? activity, GatherReport report, Exception? error)
    {
        Interlocked.Decrement(ref _open);
        lock (_lock) _stats = _stats.With(report);
        if (variant is not null) ScatterTelemetry.Count(variant, report);
        if (activity is null) return;
        activity.SetTag("patterns.fan_out.asked", report.Asked);
        activity.SetTag("patterns.fan_out.missing", report.Missing);
        if (error is not null and not OperationCanceledException) activity.SetStatus(ActivityStatusCode.Error, error.Message);
        activity.Dispose();
    }

    public void CountHedged(string branch, int count) => ScatterTelemetry.CountHedged(variant!, branch, count);

    /// <summary>Keeps in sight what did not end within the grace.</summary>
    public void Abandon(Task work)
    {
        _abandoned[work] = 0;
        _ = ForgetAsync(work); // never fails, and is waited for through its work
    }

    /// <summary>Gives everything that was left behind as long once more.</summary>
    public async Task WhenAllEndedAsync()
    {
        try
        {
            await Task.WhenAll(_abandoned.Keys).WaitAsync(grace, time).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            // Only the end of the process stops it now, and must not wait for it.
        }
    }

    private async Task ForgetAsync(Task work)
    {
        await work.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _abandoned.TryRemove(work, out _);
    }
}

/// <summary>How long a branch's answers took lately, as this process saw it.</summary>
internal sealed class BranchLatency
{
    private const int FadeAt = 1_024;
    private const int Enough = 20;

    private readonly Lock _lock = new();
    private readonly RunTimes _times = new();

    public void Add(TimeSpan took)
    {
        lock (_lock)
        {
            _times.Add(took);
            if (_times.Count >= FadeAt) _times.Fade();
        }
    }

    /// <summary>Returns the 95th percentile, or <see langword="null"/> while too little is known.</summary>
    public TimeSpan? P95()
    {
        lock (_lock) return _times.Count < Enough ? null : _times.Quantile(0.95);
    }
}
