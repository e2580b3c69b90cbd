using System.Globalization;
using System.Net.ServerSentEvents;
using System.Text.Json.Nodes;
using DistributedPatterns.Tests.Support;

namespace DistributedPatterns.Tests.Gateway;

public sealed class RunEventsTests
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(20);

    [Fact(Timeout = 60_000)]
    public async Task Events_OfRunInProgress_RiseAndEndWithTheFinalStatus()
    {
        await using var gateway = await GatewayHost.StartAsync();
        using var started = await gateway.StartRunAsync("gated", "x");
        using var response = await WatchAsync(gateway, started);
        Assert.Equal("text/event-stream", response.Content.Headers.ContentType?.MediaType);
        var events = new List<SseItem<string>>();

        await foreach (var item in EventsAsync(response))
        {
            events.Add(item);
            if (item.EventType == "status") gateway.Gate.TrySetResult(); // it is seen in progress, then it may end
        }

        Assert.Equal("Running", (string?)Status(events[0])["state"]);
        Assert.Equal(Enumerable.Range(1, events.Count), events.Select(Id));
        Assert.All(events.SkipLast(1), item => Assert.Equal("status", item.EventType));
        Assert.Equal(("ended", "Completed"), (events[^1].EventType, (string?)Status(events[^1])["state"]));
        Assert.Equal((2, 3), ((int)Status(events[^1])["result"]!["count"]!, (int)Status(events[^1])["result"]!["checksum"]!));
    }

    [Fact(Timeout = 60_000)]
    public async Task Events_WithLastEventId_GoOnBehindIt()
    {
        await using var gateway = await GatewayHost.StartAsync();
        using var started = await gateway.StartRunAsync("echo", "10");
        await gateway.EndOfAsync(started);
        using var response = await WatchAsync(gateway, started, "41");

        var events = await EventsAsync(response).ToListAsync(Token);

        Assert.Equal([(42, "ended")], events.Select(item => (Id(item), item.EventType)));
    }

    [Fact(Timeout = 60_000)]
    public async Task Events_BeyondMaxWatchers_Are503UntilOneLeaves()
    {
        await using var gateway = await GatewayHost.StartAsync(("Gateway:MaxWatchers", "1"));
        using var started = await gateway.StartRunAsync("gated", "x");
        using (await WatchAsync(gateway, started))
        {
            using var refused = await WatchAsync(gateway, started);
            await ProblemAssert.IsAsync(refused, 503, "too-many-watchers", "1 of 1", "Gateway:MaxWatchers", "?wait=");
            Assert.Equal(1, (int)(await gateway.StatsAsync())["watchers"]!);
        }

        await Eventually.TrueAsync(async () => (int)(await gateway.StatsAsync())["watchers"]! == 0, s_limit, () => "the watcher that left still counts");
        using var taken = await WatchAsync(gateway, started);
        Assert.Equal("text/event-stream", taken.Content.Headers.ContentType?.MediaType);
        Assert.Empty(gateway.Log.Errors);
    }

    [Fact(Timeout = 60_000)]
    public async Task Events_OfGatewayThatStops_EndInsteadOfHoldingItUp()
    {
        await using var gateway = await GatewayHost.StartAsync();
        using var started = await gateway.StartRunAsync("gated", "x");
        using var response = await WatchAsync(gateway, started);

        var stopping = gateway.StopAsync();

        Assert.DoesNotContain(await EventsAsync(response).ToListAsync(Token), item => item.EventType == "ended");
        await stopping.WaitAsync(s_limit, TimeProvider.System, Token);
    }

    [Fact(Timeout = 60_000)]
    public async Task Events_OfUnknownRun_Are404AndTakeNoPlace()
    {
        await using var gateway = await GatewayHost.StartAsync();

        using var response = await gateway.Http.GetAsync($"{GatewayHost.Runs}/gateway-here.none/events", Token);

        await ProblemAssert.IsAsync(response, 404, "run-not-found");
        Assert.Equal(0, (int)(await gateway.StatsAsync())["watchers"]!);
    }

    private static Task<HttpResponseMessage> WatchAsync(GatewayHost gateway, HttpResponseMessage started, string? lastEventId = null)
    {
        var request = new HttpRequestMessage(HttpMethod.Get, $"{started.Headers.Location}/events");
        if (lastEventId is not null) request.Headers.Add("Last-Event-ID", lastEventId);
        return gateway.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Token);
    }

    private static async IAsyncEnumerable<SseItem<string>> EventsAsync(HttpResponseMessage response)
    {
        await using var body = await response.Content.ReadAsStreamAsync(Token);
        await foreach (var item in SseParser.Create(body).EnumerateAsync(Token)) yield return item;
    }

    private static JsonNode Status(SseItem<string> item) => JsonNode.Parse(item.Data)!;

    private static int Id(SseItem<string> item) => int.Parse(item.EventId!, CultureInfo.InvariantCulture);

    private static CancellationToken Token => TestContext.Current.CancellationToken;
}
