using System.Diagnostics;
using System.Globalization;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json.Serialization;
using DistributedPatterns.Diagnostics;
using DistributedPatterns.MapReduce;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;

namespace DistributedPatterns.PatternCli.MapReduce;

/// <summary>Counts the words of a file, shows the most frequent ones, and checks them against a plain read of the file.</summary>
/// <remarks>What services counted is counted in this process as well: both variants have to give the same bytes.</remarks>
internal sealed class MapReduceCommand : PatternCommand
{
    private const string Sample = "us-constitution.txt";
    private const string Job = "word-count";
    private const int Top = 10;

    private static readonly TimeSpan s_lookEvery = TimeSpan.FromSeconds(1);

    public override string Name => "map-reduce";

    public override string Inputs => $"{Sample} or a file";

    public override string Summary => $"count words, show the {Top.ToString(CultureInfo.InvariantCulture)} most frequent, and check them";

    public override async Task<int> RunAsync(CommandContext context)
    {
        var file = new FileInfo(context.Input is null or Sample ? Path.Combine(AppContext.BaseDirectory, "inputs", Sample) : context.Input);
        if (!file.Exists) throw new BadUsageException($"There is no input '{context.Input}': give {Sample}, or the path of a file.");
        var output = context.Output;
        output.WriteLine($"words of {file.Name}, {(context.Variant == Variants.Channel ? "in this process" : $"across processes, through {context.Gateway}")}");
        var (end, top) = context.Variant == Variants.Channel ? await HereAsync(file, output) : await ThroughGatewayAsync(context.Gateway, file, context.Input is null or Sample, output);
        if (end.Report is not { } report)
        {
            context.Error.WriteLine($"{end.State}: {end.Error}");
            return CommandLine.Failed;
        }

        output.WriteLine();
        foreach (var entry in top) output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{entry.Key,-20}{entry.Value,12:N0}"));
        output.WriteLine();
        output.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{report.Emitted:N0} words, {report.Keys:N0} different, {report.Bytes / 1e6:F1} MB in {report.ElapsedMs:F0} ms, {report.MapMs:F0} of them mapping"));
        output.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"handed on {report.Shuffled:N0} pairs in {report.ShuffledBytes:N0} bytes; spills {report.Spills}, backups {report.Backups}, repeated {report.Repeated}, coordinators {report.Attempts}"));
        if (context.Variant == Variants.Channel)
        {
            using var process = Process.GetCurrentProcess();
            output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"at most {process.PeakWorkingSet64 / 1e6:F0} MB resident"));
        }
        output.WriteLine($"sha256 {report.Sha256}");
        if (context.Variant == Variants.Distributed)
        {
            var (here, _) = await HereAsync(file, TextWriter.Null);
            if (here.Report?.Sha256 != report.Sha256)
            {
                context.Error.WriteLine($"In this process the result is another one: sha256 {here.Report?.Sha256 ?? here.Error}.");
                return CommandLine.Failed;
            }
            output.WriteLine("the same bytes as in this process");
        }
        var (words, expected) = await ReadPlainlyAsync(file);
        if (report.Emitted == words && top.SequenceEqual(expected)) return CommandLine.Done;
        context.Error.WriteLine($"A plain read finds {words.ToString("N0", CultureInfo.InvariantCulture)} words: {string.Join(", ", expected.Select(entry => $"{entry.Key} {entry.Value.ToString(CultureInfo.InvariantCulture)}"))}.");
        return CommandLine.Failed;
    }

    private static async Task<(MapReduceStatus End, IReadOnlyList<TopEntry> Top)> HereAsync(FileInfo file, TextWriter output)
    {
        await using var services = new ServiceCollection()
            .AddLogging()
            .AddSingleton<IConfiguration>(new ConfigurationBuilder().AddEnvironmentVariables().Build())
            .AddPipelineInputs(options => options.Files["cli"] = file.FullName)
            .AddMapReduceJobs()
            .AddChannelMapReduce()
            .BuildServiceProvider();
        var jobs = services.GetRequiredKeyedService<IMapReduce>(Variants.Channel);
        var status = await jobs.StartAsync(new MapReduceRequest(Job, "cli"));
        while (!status.HasEnded)
        {
            using var limit = new CancellationTokenSource(s_lookEvery, TimeProvider.System);
            try
            {
                status = await jobs.WaitAsync(status.Id, limit.Token) ?? status;
            }
            catch (OperationCanceledException)
            {
                status = await jobs.FindAsync(status.Id) ?? status;
            }
            Show(status, output);
        }
        return (status, await jobs.TopAsync(status.Id, Top) ?? []);
    }

    private static async Task<(MapReduceStatus End, IReadOnlyList<TopEntry> Top)> ThroughGatewayAsync(Uri gateway, FileInfo file, bool isSample, TextWriter output)
    {
        const string Route = $"/api/map-reduce/{Variants.Distributed}";
        using var client = new GatewayClient(gateway);
        var input = isSample ? Sample : $"cli-{Guid.NewGuid():N}.txt";
        if (!isSample)
        {
            using var body = new StreamContent(file.OpenRead());
            body.Headers.ContentType = new("text/plain");
            using var put = await client.SendAsync(HttpMethod.Put, $"{Route}/inputs/{input}", body);
            await client.CheckAsync(put);
        }
        try
        {
            using var started = await client.SendAsync(HttpMethod.Post, $"{Route}/jobs", JsonContent.Create(new MapReduceAsk(Job, input), MapReduceCliJson.Default.MapReduceAsk));
            await client.CheckAsync(started);
            var location = started.Headers.Location ?? throw client.NoGateway("it names no job");
            while (true)
            {
                using var response = await client.SendAsync(HttpMethod.Get, $"{location}?wait=1s");
                await client.CheckAsync(response);
                var status = await response.Content.ReadFromJsonAsync(MapReduceCliJson.Default.MapReduceStatus) ?? throw client.NoGateway("it gave no status");
                Show(status, output);
                if (!status.HasEnded) continue;
                if (status.State != MapReduceState.Completed) return (status, []);
                using var result = await client.SendAsync(HttpMethod.Get, string.Create(CultureInfo.InvariantCulture, $"{location}/result?top={Top}"));
                await client.CheckAsync(result);
                return (status, (await result.Content.ReadFromJsonAsync(MapReduceCliJson.Default.MapReduceTop))?.Top ?? throw client.NoGateway("it gave no result"));
            }
        }
        finally
        {
            if (!isSample) (await client.SendAsync(HttpMethod.Delete, $"{Route}/inputs/{input}")).Dispose();
        }
    }

    private static void Show(MapReduceStatus status, TextWriter output) =>
        output.WriteLine($"{status.State.ToString().ToLowerInvariant(),-10} mapped {status.Maps.Done} of {status.Maps.Total}, reduced {status.Reduces.Done} of {status.Reduces.Total}");

    private static async Task<(long Words, IReadOnlyList<TopEntry> Top)> ReadPlainlyAsync(FileInfo file)
    {
        var counts = new Dictionary<string, long>(StringComparer.Ordinal);
        var word = new StringBuilder();
        using var reader = new StreamReader(file.FullName, Encoding.Latin1); // letters are the same, and no byte is lost
        var block = new char[64 * 1024];
        while (await reader.ReadAsync(block) is > 0 and var read)
        {
            foreach (var letter in block.AsSpan(0, read))
            {
                if (char.IsAsciiLetter(letter)) word.Append(char.ToLowerInvariant(letter));
                else EndWord();
            }
        }
        EndWord();
        return (counts.Values.Sum(), [.. counts.OrderByDescending(pair => pair.Value).ThenBy(pair => pair.Key, StringComparer.Ordinal).Take(Top).Select(pair => new TopEntry(pair.Key, pair.Value))]);

        void EndWord()
        {
            if (word.Length > 0) counts[word.ToString()] = counts.GetValueOrDefault(word.ToString()) + 1;
            word.Clear();
        }
    }
}

internal sealed record MapReduceAsk(string Job, string Input);

internal sealed record MapReduceTop(IReadOnlyList<TopEntry> Top);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, UseStringEnumConverter = true)]
[JsonSerializable(typeof(MapReduceAsk))]
[JsonSerializable(typeof(MapReduceStatus))]
[JsonSerializable(typeof(MapReduceTop))]
internal sealed partial class MapReduceCliJson : JsonSerializerContext;
