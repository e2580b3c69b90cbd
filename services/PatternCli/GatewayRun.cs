using System.Globalization;
using System.Net.Http.Json;
using System.Net.ServerSentEvents;
using System.Text.Json;
using DistributedPatterns.Diagnostics;
using DistributedPatterns.Pipeline;

namespace DistributedPatterns.PatternCli;

/// <summary>A run across processes, through the gateway.</summary>
internal sealed class GatewayRun : IWatchedRun
{
    private const int MaxReconnects = 10;
    private static readonly TimeSpan s_connectLimit = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan s_reconnectAfter = TimeSpan.FromSeconds(1);

    private readonly HttpClient _http;
    private readonly Uri _run;

    private GatewayRun(HttpClient http, Uri run) => (_http, _run) = (http, run);

    public string Where => $"across processes, through {_http.BaseAddress}";

    public static async Task<IWatchedRun> StartAsync(Uri gateway, string sample, FileInfo? file)
    {
        // A stream of events lasts as long as the run, so only connecting has a limit.
        var http = new HttpClient(new SocketsHttpHandler { ConnectTimeout = s_connectLimit }) { BaseAddress = gateway, Timeout = Timeout.InfiniteTimeSpan };
        try
        {
            using var body = Body(sample, file);
            var runs = $"/api/pipeline/{Variants.Distributed}/runs{(file is null ? "" : $"?pipeline={UnicodePipeline.Name}")}";
            using var response = await http.PostAsync(new Uri(runs, UriKind.Relative), body);
            await CheckAsync(response, gateway);
            var location = response.Headers.Location ?? throw NoGateway(gateway, "it gave no Location");
            return new GatewayRun(http, location);
        }
        catch (Exception error)
        {
            http.Dispose();
            throw error is HttpRequestException or OperationCanceledException ? Unreachable(gateway, error) : error;
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
                catch (Exception error) when (error is HttpRequestException or IOException)
                {
                    // The run goes on without the gateway, which is restarted when it died.
                    if (attempt >= MaxReconnects) throw Unreachable(_http.BaseAddress!, error);
                    break;
                }
                attempt = 0;
                last = events.Current.EventId;
                yield return events.Current.Data;
                if (events.Current.Data.HasEnded) yield break;
            }
            if (attempt >= MaxReconnects) throw new RunUnavailableException($"The gateway at {_http.BaseAddress} ends the stream of {_run} again and again.");
            await Task.Delay(s_reconnectAfter, TimeProvider.System);
        }
    }

    public async Task StopAsync(PipelineStop how)
    {
        var mode = how == PipelineStop.Drain ? "drain" : "abort";
        using var _ = await _http.DeleteAsync(new Uri($"{_run}?mode={mode}", UriKind.Relative)); // 409: it ended meanwhile
    }

    public ValueTask DisposeAsync()
    {
        _http.Dispose();
        return default;
    }

    private async IAsyncEnumerable<SseItem<PipelineStatus>> ReadEventsAsync(string? last)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri($"{_run}/events", UriKind.Relative));
        if (last is not null) request.Headers.Add("Last-Event-ID", last);
        using var response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        await CheckAsync(response, _http.BaseAddress!);
        await using var body = await response.Content.ReadAsStreamAsync();
        var parser = SseParser.Create(body, static (_, data) => JsonSerializer.Deserialize(data, PatternCliJson.Default.PipelineStatus)!);
        await foreach (var item in parser.EnumerateAsync()) yield return item;
    }

    private static HttpContent Body(string sample, FileInfo? file)
    {
        if (file is null)
        {
            return JsonContent.Create(
                new Dictionary<string, string> { ["pipeline"] = UnicodePipeline.Name, ["input"] = sample }, PatternCliJson.Default.DictionaryStringString);
        }
        var content = new StreamContent(file.OpenRead());
        content.Headers.ContentType = new("text/plain");
        return content;
    }

    private static async Task CheckAsync(HttpResponseMessage response, Uri gateway)
    {
        if (response.IsSuccessStatusCode) return;
        var status = ((int)response.StatusCode).ToString(CultureInfo.InvariantCulture);
        if (response.Content.Headers.ContentType?.MediaType != "application/problem+json") throw NoGateway(gateway, $"it answers {status}");
        var problem = await response.Content.ReadFromJsonAsync(PatternCliJson.Default.Problem);
        throw new RunUnavailableException($"The gateway at {gateway} refuses ({status}): {problem?.Title}. {problem?.Detail}");
    }

    private static RunUnavailableException Unreachable(Uri gateway, Exception error) => new(
        $"No gateway answers at {gateway}: {error.Message}{Environment.NewLine}Start the system with 'dotnet run --project AppHost', or say where it is with --gateway.", error);

    private static RunUnavailableException NoGateway(Uri gateway, string why) => new(
        $"What answers at {gateway} is no gateway of this system: {why}. Say where it is with --gateway.");
}
