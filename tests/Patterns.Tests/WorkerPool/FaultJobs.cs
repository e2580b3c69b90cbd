using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Serialization;
using DistributedPatterns.WorkerPool;

namespace DistributedPatterns.Tests.WorkerPool;

/// <summary>Where a job leaves its traces: <c>Path</c> gets a line at its start and one at its end, which waits for <c>Path.go</c>.</summary>
public sealed record Trace(string Path, bool IgnoresItsToken = false);

[JsonSerializable(typeof(Trace))]
[JsonSerializable(typeof(int))]
internal sealed partial class FaultJobsJson : JsonSerializerContext;

/// <summary>Jobs for processes that are frozen and killed. Compiled into the tests and into the process.</summary>
internal static class FaultJobs
{
    /// <summary>Returns the number of the attempt.</summary>
    public static JobDefinition<Trace, int> Traced { get; } = new("traced", TraceAsync, FaultJobsJson.Default.Trace, FaultJobsJson.Default.Int32);

    /// <summary>Ends the process that runs it.</summary>
    public static JobDefinition<int, int> Deadly { get; } = new("deadly", (_, _, _) =>
    {
        Process.GetCurrentProcess().Kill();
        return new(0);
    }, FaultJobsJson.Default.Int32, FaultJobsJson.Default.Int32, new JobOptions { MaxAttempts = 2 });

    private static async ValueTask<int> TraceAsync(Trace trace, JobContext context, CancellationToken cancellationToken)
    {
        var token = trace.IgnoresItsToken ? CancellationToken.None : cancellationToken;
        await WriteAsync("start");
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(20), TimeProvider.System);
        while (!File.Exists(trace.Path + ".go")) await timer.WaitForNextTickAsync(token);
        await WriteAsync("end");
        return context.Attempt;

        Task WriteAsync(string what) =>
            File.AppendAllTextAsync(trace.Path, string.Create(CultureInfo.InvariantCulture, $"{what} {context.Attempt} {Environment.ProcessId}\n"), CancellationToken.None);
    }
}
