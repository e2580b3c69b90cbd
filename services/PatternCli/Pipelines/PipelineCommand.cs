using System.Runtime.InteropServices;
using DistributedPatterns.Diagnostics;
using DistributedPatterns.Pipeline;

namespace DistributedPatterns.PatternCli.Pipelines;

/// <summary>Runs the pipeline <c>unicode</c>.</summary>
internal sealed class PipelineCommand : PatternCommand
{
    private const string Sample = "unicode-data";

    public override string Name => "pipeline";

    public override string Inputs => $"{Sample} or a file";

    public override string Summary => "read, parse, validate, enrich, aggregate by general category";

    public override async Task<int> RunAsync(CommandContext context)
    {
        var file = FindInput(context.Input ?? Sample);
        await using var run = context.Variant == Variants.Channel
            ? await ProcessRun.StartAsync(Sample, file)
            : await GatewayRun.StartAsync(context.Gateway, Sample, file);
        var report = new PipelineReport(context.Output);
        report.Begin(file?.Name ?? Sample, run.Where);
        using var interrupt = StopOn(PosixSignal.SIGINT, run, report);
        using var terminate = StopOn(PosixSignal.SIGTERM, run, report);

        PipelineStatus? last = null;
        await foreach (var status in run.WatchAsync()) report.Progress(last = status);
        report.End(last!);
        if (last!.Error is { } failure) await context.Error.WriteLineAsync(Text(failure));
        return last.State == PipelineState.Completed ? CommandLine.Done : CommandLine.Failed;
    }

    private static FileInfo? FindInput(string input)
    {
        if (input == Sample) return null;
        var file = input.Length == 0 ? null : new FileInfo(input);
        return file?.Exists == true ? file : throw new BadUsageException($"There is no input '{input}': give {Sample}, or the path of a file.");
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
