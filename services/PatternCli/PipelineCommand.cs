using System.Runtime.InteropServices;
using DistributedPatterns.Diagnostics;
using DistributedPatterns.Pipeline;

namespace DistributedPatterns.PatternCli;

/// <summary>Runs the pattern pipeline and shows how it goes.</summary>
internal static class PipelineCommand
{
    public static async Task<int> RunAsync(string variant, string sample, FileInfo? file, Uri gateway, TextWriter output, TextWriter error)
    {
        try
        {
            await using var run = variant == Variants.Channel
                ? await ProcessRun.StartAsync(sample, file)
                : await GatewayRun.StartAsync(gateway, sample, file);
            var report = new PipelineReport(output);
            report.Begin(file?.Name ?? sample, run.Where);
            using var interrupt = StopOn(PosixSignal.SIGINT, run, report);
            using var terminate = StopOn(PosixSignal.SIGTERM, run, report);

            PipelineStatus? last = null;
            await foreach (var status in run.WatchAsync()) report.Progress(last = status);
            report.End(last!);
            if (last!.Error is { } failure) await error.WriteLineAsync(Text(failure));
            return last.State == PipelineState.Completed ? CommandLine.Done : CommandLine.Failed;
        }
        catch (RunUnavailableException unavailable)
        {
            await error.WriteLineAsync(unavailable.Message);
            return CommandLine.Failed;
        }
    }

    /// <summary>The first signal drains: what was read is finished and shown. The second one aborts.</summary>
    private static PosixSignalRegistration StopOn(PosixSignal signal, IWatchedRun run, PipelineReport report)
    {
        var count = 0;
        return PosixSignalRegistration.Create(signal, context =>
        {
            context.Cancel = true;
            var how = Interlocked.Increment(ref count) == 1 ? PipelineStop.Drain : PipelineStop.Abort;
            report.Note(how == PipelineStop.Drain ? "Draining what was read; once more aborts." : "Aborting.");
            run.StopAsync(how).GetAwaiter().GetResult();
        });
    }

    private static string Text(PipelineError error) =>
        error.Stage is null ? error.Message : $"Stage '{error.Stage}'{(error.Number is { } number ? $" at line {number:N0}" : "")}: {error.Message}";
}
