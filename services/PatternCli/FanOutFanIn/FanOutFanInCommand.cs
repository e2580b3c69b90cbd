using System.Globalization;
using System.Net.Http.Json;
using System.Text.Json.Serialization;
using DistributedPatterns.Diagnostics;
using DistributedPatterns.FanOutFanIn;
using DistributedPatterns.Pipeline;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;

namespace DistributedPatterns.PatternCli.FanOutFanIn;

/// <summary>Scans parts of a file at the same time, adds the counts up, and checks the sum against a plain read of the file.</summary>
internal sealed class FanOutFanInCommand : PatternCommand
{
    private const string Sample = "unicode-data";
    private const string Find = "Lo";
    private const int Parts = 64;

    public override string Name => "fan-out-fan-in";

    public override string Inputs => $"{Sample} or a file";

    public override string Summary => $"count category {Find} (in a file: the word 'the') in {Parts} parts, and check the sum";

    public override async Task<int> RunAsync(CommandContext context)
    {
        var file = context.Input is null or Sample ? null : new FileInfo(context.Input);
        if (file?.Exists == false) throw new BadUsageException($"There is no input '{context.Input}': give {Sample}, or the path of a file.");
        var path = file?.FullName ?? Path.Combine(AppContext.BaseDirectory, "inputs", "UnicodeData.txt");
        var (find, by) = file is null ? (Find, ScanBy.Category) : ("the", ScanBy.Word);
        var scan = context.Variant == Variants.Channel ? await HereAsync(file, find, by) : await ThroughGatewayAsync(context.Gateway, file, find, by);
        var expected = await FileScan.ScanAsync(new ScanPart(Sample, 0, new FileInfo(path).Length, find, by), path, CancellationToken.None);

        var output = context.Output;
        output.WriteLine($"'{find}' by {by.ToString().ToLowerInvariant()} in {Parts} parts of {file?.Name ?? Sample}, {(context.Variant == Variants.Channel ? "in this process" : $"across processes, through {context.Gateway}")}");
        output.WriteLine();
        output.WriteLine($"{"worker",-40}{"parts",8}{"busy",14}");
        foreach (var worker in scan.Summary.Workers) output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{worker.Worker,-40}{worker.Answered,8}{worker.RunMs,11:F1} ms"));
        output.WriteLine();
        output.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"lines {scan.Lines:N0}, matches {scan.Matches:N0} in {scan.Summary.ElapsedMs:F1} ms; slowest part {scan.Summary.StragglerRatio:F1} times the median"));
        output.WriteLine($"ledger: asked {scan.Summary.Asked} = done {scan.Summary.Done} + failed {scan.Summary.Failed} + missing {scan.Summary.Missing}; sent again {scan.Summary.Retried}");
        if ((scan.Lines, scan.Matches) == (expected.Lines, expected.Matches)) return CommandLine.Done;
        context.Error.WriteLine($"A plain read finds {expected.Matches:N0} matches in {expected.Lines:N0} lines.");
        return CommandLine.Failed;
    }

    private static async Task<Scan> HereAsync(FileInfo? file, string find, ScanBy by)
    {
        var input = file?.Name ?? Sample;
        await using var services = new ServiceCollection()
            .AddLogging()
            .AddSingleton<IConfiguration>(new ConfigurationBuilder().AddEnvironmentVariables().Build())
            .AddPipelineInputs(options =>
            {
                if (file is not null) options.Files[input] = file.FullName;
            })
            .AddFanOutFanInScenarios()
            .AddChannelScatterGather()
            .BuildServiceProvider();
        var parts = FileScan.Cut(services.GetRequiredService<PipelineInputs>(), input, Parts, find, by);
        var gather = services.GetRequiredKeyedService<IScatterGather>(Variants.Channel).Scatter<ScanPart, ScanCount>(FileScan.Name, parts);
        var sum = new ScanCount();
        await foreach (var result in gather) sum += result.Value;
        var report = gather.Report;
        return new Scan(sum.Lines, sum.Matches, new ScanSummary(report.Asked, report.Done, report.Failed, report.Missing, report.Retried, report.Elapsed.TotalMilliseconds,
            report.StragglerRatio, [.. report.Workers.Select(share => new ScanWorker(share.Worker, share.Answered, share.Run.TotalMilliseconds))]));
    }

    private static async Task<Scan> ThroughGatewayAsync(Uri gateway, FileInfo? file, string find, ScanBy by)
    {
        using var client = new GatewayClient(gateway);
        using var body = file is null ? null : new StreamContent(file.OpenRead());
        if (body is not null) body.Headers.ContentType = new("text/plain");
        using var response = await client.SendAsync(
            file is null ? HttpMethod.Get : HttpMethod.Post,
            $"/api/fan-out-fan-in/{Variants.Distributed}/scan?find={find}&by={by.ToString().ToLowerInvariant()}&parts={Parts}", body);
        await client.CheckAsync(response);
        return await response.Content.ReadFromJsonAsync(FanOutFanInCliJson.Default.Scan) ?? throw client.NoGateway("it gave no result");
    }
}

internal sealed record Scan(long Lines, long Matches, ScanSummary Summary);

internal sealed record ScanSummary(long Asked, long Done, long Failed, long Missing, long Retried, double ElapsedMs, double StragglerRatio, IReadOnlyList<ScanWorker> Workers);

internal sealed record ScanWorker(string Worker, long Answered, double RunMs);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(Scan))]
internal sealed partial class FanOutFanInCliJson : JsonSerializerContext;
