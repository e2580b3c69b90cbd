using System.ComponentModel;
using System.Diagnostics;

namespace Aspire.Hosting.Dashboard;

/// <summary>What one process uses: of one core, and of memory.</summary>
internal readonly record struct Usage(double? CpuShare, long MemoryBytes);

/// <summary>Measures processes, each at most once a second however many ask; a share is that of the time since the measure before.</summary>
internal sealed class ProcessUsage(TimeProvider time)
{
    private static readonly TimeSpan s_atMostEvery = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan s_forgottenAfter = TimeSpan.FromMinutes(1);

    private readonly Lock _lock = new();
    private readonly Dictionary<int, Sample> _samples = [];

    /// <summary>Gets what a process uses, or <see langword="null"/> once it has ended. The first measure has no share yet.</summary>
    public Usage? Of(int pid)
    {
        lock (_lock)
        {
            var before = _samples.GetValueOrDefault(pid);
            if (before is not null && time.GetElapsedTime(before.At) < s_atMostEvery)
            {
                return before.Usage;
            }

            foreach (var old in _samples.Where(s => time.GetElapsedTime(s.Value.At) > s_forgottenAfter).Select(s => s.Key).ToList())
            {
                _samples.Remove(old);
            }

            if (Measure(pid) is not { } now)
            {
                _samples.Remove(pid);
                return null;
            }

            var share = before is null ? (double?)null : Math.Max(0, (now.Cpu - before.Cpu) / time.GetElapsedTime(before.At));
            return (_samples[pid] = new(time.GetTimestamp(), now.Cpu, new(share, now.Memory))).Usage;
        }
    }

    private static (TimeSpan Cpu, long Memory)? Measure(int pid)
    {
        try
        {
            using var process = Process.GetProcessById(pid);
            return (process.TotalProcessorTime, process.WorkingSet64);
        }
        catch (Exception e) when (e is ArgumentException or InvalidOperationException or Win32Exception)
        {
            // It ended meanwhile.
            return null;
        }
    }

    private sealed record Sample(long At, TimeSpan Cpu, Usage Usage);
}
