using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text.Json;
using DistributedPatterns.Diagnostics;
using DistributedPatterns.WorkerPool;

namespace DistributedPatterns.PatternCli.WorkerPool;

/// <summary>Cuts a file into parts, lets the pool hash and count each, and checks every answer against the file.</summary>
internal sealed class WorkerPoolCommand : PatternCommand
{
    private const string Sample = "unicode-data";
    private const int Parts = 64;

    public override string Name => "worker-pool";

    public override string Inputs => $"{Sample} or a file";

    public override string Summary => "hash and count 64 parts of a file, and check each answer";

    public override async Task<int> RunAsync(CommandContext context)
    {
        var file = FindFile(context);
        var input = file?.Name ?? Sample;
        var path = file?.FullName ?? Path.Combine(AppContext.BaseDirectory, "inputs", "UnicodeData.txt");
        await using IJobPool pool = context.Variant == Variants.Channel ? new ProcessJobPool(input, file) : new GatewayJobPool(context.Gateway);
        context.Output.WriteLine($"{FilePartJobs.Sha256Name} and {FilePartJobs.TextCountName} of {Parts} parts of {input}, {pool.Where}");

        using var stop = new CancellationTokenSource();
        using var interrupt = StopOn(PosixSignal.SIGINT, stop, context.Output);
        using var terminate = StopOn(PosixSignal.SIGTERM, stop, context.Output);
        var since = Stopwatch.GetTimestamp();
        var parts = Cut(input, new FileInfo(path).Length);
        var jobs = parts.SelectMany(part => ((string[])[FilePartJobs.Sha256Name, FilePartJobs.TextCountName]).Select(job => pool.RunAsync(job, part, stop.Token)));
        var ended = await Task.WhenAll(jobs);
        return Report(context, path, parts, ended, Stopwatch.GetElapsedTime(since), await pool.ReadAsync());
    }

    private static FileInfo? FindFile(CommandContext context)
    {
        if (context.Input is null or Sample) return null;
        if (context.Variant == Variants.Distributed)
            throw new BadUsageException($"The workers read inputs by name, and '{context.Input}' is none: give {Sample}, or use --variant channel for a file of yours.");
        var file = context.Input.Length == 0 ? null : new FileInfo(context.Input);
        return file?.Exists == true ? file : throw new BadUsageException($"There is no input '{context.Input}': give {Sample}, or the path of a file.");
    }

    private static FilePart[] Cut(string input, long bytes) =>
        [.. Enumerable.Range(0, Parts).Select(part => (From: bytes * part / Parts, To: bytes * (part + 1) / Parts)).Select(cut => new FilePart(input, cut.From, cut.To - cut.From))];

    private static PosixSignalRegistration StopOn(PosixSignal signal, CancellationTokenSource stop, TextWriter output) => PosixSignalRegistration.Create(signal, context =>
    {
        context.Cancel = true;
        output.WriteLine("Cancelling the jobs that are open.");
        stop.Cancel();
    });

    private static int Report(CommandContext context, string path, FilePart[] parts, JobStatus[] ended, TimeSpan took, WorkerPoolSnapshot snapshot)
    {
        var output = context.Output;
        using var file = File.OpenHandle(path);
        var right = parts.Where((part, i) => ended[2 * i].Result is { } result
            && result.Deserialize(WorkerPoolCliJson.Default.FileDigest)!.Sha256 == HashOf(file, part)).Count();
        var counts = ended.Where((_, i) => i % 2 == 1).Select(status => status.Result?.Deserialize(WorkerPoolCliJson.Default.TextCount)).OfType<TextCount>().ToArray();

        output.WriteLine();
        output.WriteLine($"{"worker",-40}{"jobs",8}{"attempts",10}");
        foreach (var worker in ended.GroupBy(status => status.Worker ?? "none").OrderBy(group => group.Key, StringComparer.Ordinal))
            output.WriteLine($"{worker.Key,-40}{worker.Count(),8}{worker.Sum(status => status.Attempts),10}");
        output.WriteLine();
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{ended.Length} jobs in {took.TotalSeconds:F3} s"));
        output.WriteLine($"hashes: {right} of {parts.Length} are those of the file");
        output.WriteLine($"lines {Number(counts.Sum(count => count.Lines))}, words {Number(counts.Sum(count => count.Words))}");
        foreach (var status in ended.Where(status => status.State != JobState.Done).Take(5)) context.Error.WriteLine($"{status.Id}: {status.State} {status.Error?.Message}");
        var ledger = snapshot.Ledger;
        output.WriteLine(
            $"ledger of the pool: submitted {Number(ledger.Submitted)} = done {Number(ledger.Done)} + failed {Number(ledger.Failed)} + cancelled {Number(ledger.Cancelled)}"
            + $" + dead {Number(ledger.Dead)} + queued {Number(ledger.Queued)} + running {Number(ledger.Running)}");
        return right == parts.Length && counts.Length == parts.Length && ledger.AddsUp ? CommandLine.Done : CommandLine.Failed;
    }

    private static string HashOf(Microsoft.Win32.SafeHandles.SafeFileHandle file, FilePart part)
    {
        var bytes = new byte[part.Length!.Value];
        for (var read = 0; read < bytes.Length;)
        {
            var count = RandomAccess.Read(file, bytes.AsSpan(read), part.Offset + read);
            if (count == 0) return "";
            read += count;
        }
        return Convert.ToHexStringLower(SHA256.HashData(bytes));
    }

    private static string Number(long value) => value.ToString("N0", CultureInfo.InvariantCulture);
}
