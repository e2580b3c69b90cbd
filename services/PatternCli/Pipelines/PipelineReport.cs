using System.Globalization;
using System.Text.Json;
using DistributedPatterns.Pipeline;

namespace DistributedPatterns.PatternCli.Pipelines;

/// <summary>Writes a run's progress and outcome: one line that changes on a terminal, plain lines elsewhere.</summary>
internal sealed class PipelineReport(TextWriter output)
{
    private readonly bool _isTerminal = ReferenceEquals(output, Console.Out) && !Console.IsOutputRedirected;
    private readonly Lock _lock = new();
    private (PipelineState State, long Second)? _shown;

    public void Begin(string input, string where) => Note($"pipeline {UnicodePipeline.Name} over {input}, {where}");

    public void Progress(PipelineStatus status)
    {
        var now = (status.State, (long)status.Elapsed.TotalSeconds);
        if (!_isTerminal && (_shown == now || status.HasEnded)) return;
        _shown = now;
        var text = $"{status.State,-9} {Seconds(status.Elapsed)}  read {Number(status.Ledger.Read)}  done {Number(status.Ledger.Done)}  in flight {Number(status.Ledger.InFlight)}";
        lock (_lock)
        {
            if (_isTerminal) output.Write($"\r{text}\e[K");
            else output.WriteLine(text);
        }
    }

    public void Note(string text)
    {
        lock (_lock) output.WriteLine(_isTerminal && _shown is not null ? $"\r{text}\e[K" : text);
    }

    public void End(PipelineStatus status)
    {
        Note($"{status.State} after {Seconds(status.Elapsed)}{(status.Replays > 0 ? $", with {status.Replays} replays of the input" : "")}");
        if (status.Result is { } result) Result(result.Deserialize(PipelineCliJson.Default.UnicodeSummary)!);
        Stages(status.Stages);
        Ledger(status.Ledger);
        foreach (var item in status.Diverted) output.WriteLine($"  line {item.Number} at {item.Stage}: {item.Reason}");
        if (status.Ledger.Diverted > status.Diverted.Count) output.WriteLine($"  and {Number(status.Ledger.Diverted - status.Diverted.Count)} more");
    }

    private void Result(UnicodeSummary summary)
    {
        output.WriteLine();
        output.WriteLine($"{"category",-9}{"records",12}{"code points",14}");
        foreach (var row in summary.ByCategory) output.WriteLine($"{row.Category,-9}{Number(row.Records),12}{Number(row.CodePoints),14}");
        output.WriteLine($"{$"all {summary.Categories}",-9}{Number(summary.Records),12}{Number(summary.CodePoints),14}");
    }

    private void Stages(IReadOnlyList<StageReport> stages)
    {
        output.WriteLine();
        output.WriteLine($"{"stage",-12}{"in",12}{"out",12}{"busy",12}{"starved",12}{"blocked",12}");
        foreach (var stage in stages)
            output.WriteLine($"{stage.Name,-12}{Number(stage.In),12}{Number(stage.Out),12}{Seconds(stage.Busy),12}{Seconds(stage.Starved),12}{Seconds(stage.Blocked),12}");
    }

    private void Ledger(PipelineLedger ledger)
    {
        output.WriteLine();
        output.WriteLine(
            $"ledger: read {Number(ledger.Read)} = done {Number(ledger.Done)} + skipped {Number(ledger.Skipped)} + diverted {Number(ledger.Diverted)}"
            + $" + failed {Number(ledger.Failed)} + dropped {Number(ledger.Dropped)}");
    }

    private static string Number(long value) => value.ToString("N0", CultureInfo.InvariantCulture);

    private static string Seconds(TimeSpan time) => string.Create(CultureInfo.InvariantCulture, $"{time.TotalSeconds:F3} s");
}
