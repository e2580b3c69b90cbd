using System.Net.Http.Json;
using System.Net.ServerSentEvents;
using System.Text.Json;
using DistributedPatterns.Diagnostics;
using DistributedPatterns.Pipeline;

namespace DistributedPatterns.PatternCli.Pipelines;

/// <summary>A run across processes, through the gateway.</summary>
internal sealed class GatewayRun : IWatchedRun
{
    private const int MaxReconnects = 10;
    private static readonly TimeSpan s_reconnectAfter = TimeSpan.FromSeconds(1);

    private readonly GatewayClient _client;
    private readonly string _run;

    private GatewayRun(GatewayClient client, string run) => (_client, _run) = (client, run);

    public string Where => $"across processes, through {_client.Gateway}";

    public static async Task<IWatchedRun> StartAsync(Uri gateway, string sample, FileInfo? file)
    {
        var client = new GatewayClient(gateway);
        try
        {
            using var body = Body(sample, file);
            var runs = $"/api/pipeline/{Variants.Distributed}/runs{(file is null ? "" : $"?pipeline={UnicodePipeline.Name}")}";
            using var response = await client.SendAsync(HttpMethod.Post, runs, body);
            await client.CheckAsync(response);
            return new GatewayRun(client, response.Headers.Location?.ToString() ?? throw client.NoGateway("it gave no Location"));
        }
        catch
        {
            client.Dispose();
            throw;
        }
    }

    public async IAsyncEnumerable<PipelineStatus> WatchAsync()
    {
        string? last = null;
        for (var attempt = 0; ; attempt++)
        {
            await using var events = ReadEventsAsync(last).GetAsyncEnumerator();
            while (true)
            {
                try
                {
                    if (!await events.MoveNextAsync()) break;
                }
                catch (Exception error) when (error is RunUnavailableException { InnerException: not null } or HttpRequestException or IOException)
                {
                    // The run goes on without the gateway, which is restarted when it died.
                    if (attempt >= MaxReconnects) throw error as RunUnavailableException ?? _client.Unreachable(error);
                    break;
                }
                attempt = 0;
                last = events.Current.EventId;
                yield return events.Current.Data;
                if (events.Current.Data.HasEnded) yield break;
            }
            if (attempt >= MaxReconnects) throw new RunUnavailableException($"The gateway at {_client.Gateway} ends the stream of {_run} again and again.");
            await Task.Delay(s_reconnectAfter, TimeProvider.System);
        }
    }

    public async Task StopAsync(PipelineStop how)
    {
        var mode = how == PipelineStop.Drain ? "drain" : "abort";
        using var _ = await _client.SendAsync(HttpMethod.Delete, $"{_run}?mode={mode}"); // 409: it ended meanwhile
    }

    public ValueTask DisposeAsync()
    {
        _client.Dispose();
        return default;
    }

    private async IAsyncEnumerable<SseItem<PipelineStatus>> ReadEventsAsync(string? last)
    {
        using var response = await _client.SendAsync(HttpMethod.Get, $"{_run}/events", null, last is null ? [] : [("Last-Event-ID", last)]);
        await _client.CheckAsync(response);
        await using var body = await response.Content.ReadAsStreamAsync();
        var parser = SseParser.Create(body, static (_, data) => JsonSerializer.Deserialize(data, PipelineCliJson.Default.PipelineStatus)!);
        await foreach (var item in parser.EnumerateAsync()) yield return item;
    }

    private static HttpContent Body(string sample, FileInfo? file)
    {
        if (file is null)
        {
            return JsonContent.Create(
                new Dictionary<string, string> { ["pipeline"] = UnicodePipeline.Name, ["input"] = sample }, PipelineCliJson.Default.DictionaryStringString);
        }
        var content = new StreamContent(file.OpenRead());
        content.Headers.ContentType = new("text/plain");
        return content;
    }
}
