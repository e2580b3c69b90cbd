using System.Globalization;
using System.Net.Http.Json;
using System.Text.Json.Serialization;
using DistributedPatterns.Diagnostics;
using DistributedPatterns.Pipeline;
using DistributedPatterns.ProducerConsumer.Feeds;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace DistributedPatterns.PatternCli.ProducerConsumer;

/// <summary>Has records produced at a set rate and consumed, and checks what was consumed against a plain read of the file.</summary>
internal sealed class ProducerConsumerCommand : PatternCommand
{
    private const int Records = 2_000;

    private static readonly FeedOrder s_order = new(Records, PerSecond: 1_000);

    public override string Name => "producer-consumer";

    public override string Inputs => $"how many records, 1 to {FeedOrder.MaxCount.ToString(CultureInfo.InvariantCulture)}; {Records.ToString(CultureInfo.InvariantCulture)} unless given";

    public override string Summary => "produce records at 1000/s, consume them, and check the sums";

    public override async Task<int> RunAsync(CommandContext context)
    {
        var count = Records;
        if (context.Input is { } input && (!int.TryParse(input, NumberStyles.None, CultureInfo.InvariantCulture, out count) || count is < 1 or > FeedOrder.MaxCount))
            throw new BadUsageException($"'{input}' is no count of records: 1 to {FeedOrder.MaxCount.ToString(CultureInfo.InvariantCulture)}.");
        var order = s_order with { Count = count };
        var output = context.Output;
        output.WriteLine($"{count} records at {order.PerSecond} a second, {(context.Variant == Variants.Channel ? "in this process" : $"across processes, through {context.Gateway}")}");
        var end = context.Variant == Variants.Channel ? await HereAsync(order, output) : await ThroughGatewayAsync(context.Gateway, order, output);

        output.WriteLine();
        foreach (var (category, records) in (end.ByCategory ?? new Dictionary<string, int>()).OrderByDescending(pair => pair.Value).ThenBy(pair => pair.Key, StringComparer.Ordinal))
            output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{category,-12}{records,8}"));
        output.WriteLine($"{end.State}: produced {end.Produced}, consumed {end.Consumed}; a producer took it {end.Attempts} time(s)");
        var expected = await ReadPlainlyAsync(count);
        if (end.State == FeedState.Done && end.Consumed == count && expected.Count == end.ByCategory?.Count && expected.All(pair => end.ByCategory.GetValueOrDefault(pair.Key) == pair.Value))
            return CommandLine.Done;
        context.Error.WriteLine($"A plain read finds {string.Join(", ", expected.Select(pair => $"{pair.Key} {pair.Value}"))}.");
        return CommandLine.Failed;
    }

    private static async Task<FeedStatus> HereAsync(FeedOrder order, TextWriter output)
    {
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Configuration.AddEnvironmentVariables();
        builder.Services.AddPipelineInputs().AddChannelFeeds();
        using var host = builder.Build();
        await host.StartAsync();
        var feeds = host.Services.GetRequiredKeyedService<FeedRuns>(Variants.Channel);
        var status = await feeds.StartAsync("cli", order);
        while (!status.HasEnded)
        {
            using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(1), TimeProvider.System);
            try
            {
                status = await feeds.WaitAsync("cli", limit.Token) ?? status;
            }
            catch (OperationCanceledException)
            {
                status = await feeds.FindAsync("cli") ?? status;
            }
            Show(status, output);
        }
        await host.StopAsync();
        return status;
    }

    private static async Task<FeedStatus> ThroughGatewayAsync(Uri gateway, FeedOrder order, TextWriter output)
    {
        using var client = new GatewayClient(gateway);
        using var started = await client.SendAsync(HttpMethod.Post, string.Create(CultureInfo.InvariantCulture,
            $"/api/producer-consumer/{Variants.Distributed}/runs?count={order.Count}&rate={order.PerSecond}"));
        await client.CheckAsync(started);
        var location = started.Headers.Location ?? throw client.NoGateway("it names no run");
        while (true)
        {
            using var response = await client.SendAsync(HttpMethod.Get, $"{location}?wait=1s");
            await client.CheckAsync(response);
            var status = await response.Content.ReadFromJsonAsync(ProducerConsumerCliJson.Default.FeedStatus) ?? throw client.NoGateway("it gave no status");
            Show(status, output);
            if (status.HasEnded) return status;
        }
    }

    private static void Show(FeedStatus status, TextWriter output) =>
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{status.State,-12} produced {status.Produced,6}  consumed {status.Consumed,6}"));

    private static async Task<Dictionary<string, int>> ReadPlainlyAsync(int count)
    {
        var categories = new Dictionary<string, int>(StringComparer.Ordinal);
        await foreach (var line in TextLines.ReadAsync(Path.Combine(AppContext.BaseDirectory, "inputs", "UnicodeData.txt"), "UnicodeData.txt"))
        {
            if (count-- == 0) break;
            var category = line.Split(';')[2];
            categories[category] = categories.GetValueOrDefault(category) + 1;
        }
        return categories;
    }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, UseStringEnumConverter = true)]
[JsonSerializable(typeof(FeedStatus))]
internal sealed partial class ProducerConsumerCliJson : JsonSerializerContext;
