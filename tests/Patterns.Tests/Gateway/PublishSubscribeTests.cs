using System.Net;
using System.Net.Http.Json;
using System.Net.ServerSentEvents;
using System.Text.Json.Nodes;
using DistributedPatterns.Diagnostics;
using DistributedPatterns.Tests.Support;
using Microsoft.Extensions.DependencyInjection;
using StackExchange.Redis;

namespace DistributedPatterns.Tests.Gateway;

/// <summary>Publish-subscribe over HTTP: the same requests, the same answers in both variants, and the two kinds across processes.</summary>
public sealed class PublishSubscribeTests(SharedRedis shared)
{
    private const int HangLimit = 90_000;

    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(40);

    private static CancellationToken TestStop => TestContext.Current.CancellationToken;

    [Theory(Timeout = HangLimit)]
    [InlineData(Variants.Channel, "")]
    [InlineData(Variants.Distributed, "")]
    [InlineData(Variants.Distributed, "?kind=ephemeral")]
    public async Task Messages_ComeToWhoListensToTheirTopic(string variant, string kind)
    {
        await using var gateway = await StartAsync(variant);
        await using var some = await WatchAsync(gateway, variant, $"orders.*.created/stream{kind}");
        await using var every = await WatchAsync(gateway, variant, $"**/stream{kind}");

        foreach (var topic in (string[])["orders.eu.created", "orders.eu.paid", "orders.us.created"])
        {
            using var published = await PublishAsync(gateway, variant, topic + kind, new { topic });
            Assert.Equal(HttpStatusCode.Accepted, published.StatusCode);
            Assert.Equal(topic, (string?)(await published.Content.ReadFromJsonAsync<JsonObject>(TestStop))!["topic"]);
        }

        Assert.Equal(["orders.eu.created", "orders.us.created"], (await some.MessagesAsync(2)).Select(data => (string?)data["topic"]));
        Assert.Equal(["orders.eu.created", "orders.eu.paid", "orders.us.created"], (await every.MessagesAsync(3)).Select(data => (string?)data["payload"]!["topic"]));
        var stats = await gateway.GetAsync($"/api/publish-subscribe/{variant}/stats");
        Assert.Equal(2, (int)stats["watchers"]!);
        var ledger = (kind.Length == 0 ? stats["ledger"] : stats["ephemeral"])!;
        Assert.Equal(3, (long)ledger["published"]!);
        Assert.All(ledger["subscriptions"]!.AsArray(), one => Assert.True((bool)one!["ledger"]!["balances"]!));
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(Variants.Channel)]
    [InlineData(Variants.Distributed)]
    public async Task Stream_AfterACut_GoesOnBehindTheLastEvent(string variant)
    {
        await using var gateway = await StartAsync(variant);
        string? last;
        await using (var watcher = await WatchAsync(gateway, variant, "a/stream"))
        {
            for (var i = 1; i <= 3; i++) (await PublishAsync(gateway, variant, "a", i)).Dispose();
            await watcher.MessagesAsync(2);
            last = watcher.LastId;
        }
        for (var i = 4; i <= 5; i++) (await PublishAsync(gateway, variant, "a", i)).Dispose();

        await using var again = await WatchAsync(gateway, variant, "a/stream", last);
        await using var from = await WatchAsync(gateway, variant, $"a/stream?from={last}");
        await using var newest = await WatchAsync(gateway, variant, "a/stream?from=last:2");

        foreach (var (watcher, expected) in ((Watcher, int[])[])[(again, [3, 4, 5]), (from, [3, 4, 5]), (newest, [4, 5])])
            Assert.Equal(expected, (await watcher.MessagesAsync(expected.Length)).Select(data => (int)data["payload"]!));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Stream_BehindAPositionOfAnotherLife_BeginsWithAReset()
    {
        await using var gateway = await StartAsync(Variants.Channel);
        (await PublishAsync(gateway, Variants.Channel, "a", 1)).Dispose();

        await using var watcher = await WatchAsync(gateway, Variants.Channel, "a/stream", "17-99-0");
        await watcher.MessagesAsync(1);

        Assert.Equal(["open", "reset", "message"], watcher.Types);
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(Variants.Channel)]
    [InlineData(Variants.Distributed)]
    public async Task Watchers_BeyondTheLimit_Are503UntilOneLeaves(string variant)
    {
        await using var gateway = await StartAsync(variant, ("Gateway:MaxWatchers", "1"));
        await using (await WatchAsync(gateway, variant, "a/stream"))
        {
            using var refused = await gateway.Http.GetAsync($"/api/publish-subscribe/{variant}/topics/a/stream", TestStop);
            await ProblemAssert.IsAsync(refused, 503, "too-many-watchers", "1 of 1", "Gateway:MaxWatchers");
        }
        await Eventually.TrueAsync(async () =>
        {
            var stats = await gateway.GetAsync($"/api/publish-subscribe/{variant}/stats");
            return (int)stats["watchers"]! == 0 && stats["ledger"]!["subscriptions"]!.AsArray().Count == 0;
        }, s_limit, () => "who left is still there");
        await using var next = await WatchAsync(gateway, variant, "a/stream");
        Assert.Empty(gateway.Log.Errors);
    }

    [Theory(Timeout = HangLimit)]
    [InlineData("topics/a..b/stream", "'a..b'", "segments")]
    [InlineData("topics/a.**.b/stream", "'a.**.b'", "may be the last")]
    [InlineData("topics/a/stream?from=yesterday", "'from'", "last:n", "'yesterday'")]
    [InlineData("topics/a/stream?from=last:0", "from=last:", "1 to 10000", "'0'")]
    [InlineData("topics/a/stream?overflow=grow", "drop-oldest or drop-newest or latest or wait or disconnect", "'grow'")]
    [InlineData("topics/a/stream?buffer=0", "'buffer'", "1 to 1024", "'0'")]
    [InlineData("topics/a/stream?buffer=2000", "1 to 1024")]
    [InlineData("topics/a/stream?kind=ephemeral", "no parameter 'kind'")]
    public async Task Stream_OfBadInput_Is400AndNamesWhatIsAccepted(string path, params string[] mentions)
    {
        await using var gateway = await StartAsync(Variants.Channel);

        using var response = await gateway.Http.GetAsync($"/api/publish-subscribe/channel/{path}", TestStop);

        await ProblemAssert.IsAsync(response, 400, "invalid-parameter", mentions);
        Assert.Equal(0, (int)(await gateway.GetAsync("/api/publish-subscribe/channel/stats"))["watchers"]!);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Publish_OfBadInput_IsAProblemThatNamesWhatIsAccepted()
    {
        await using var gateway = await StartAsync(Variants.Channel);
        const string Topics = "/api/publish-subscribe/channel/topics";

        using var wildcard = await gateway.PostAsync($"{Topics}/a.*", new StringContent("1"), "application/json");
        using var empty = await gateway.PostAsync($"{Topics}/a", null, null);
        using var malformed = await gateway.PostAsync($"{Topics}/a", new StringContent("{"), "application/json");
        using var text = await gateway.PostAsync($"{Topics}/a", new StringContent("1"), "text/plain");
        using var large = await gateway.PostAsync($"{Topics}/a", new StringContent($"\"{new string('x', 62_000)}\""), "application/json");
        using var cursor = new HttpRequestMessage(HttpMethod.Get, $"{Topics}/a/stream");
        cursor.Headers.Add("Last-Event-ID", "yesterday");
        using var position = await gateway.Http.SendAsync(cursor, TestStop);

        await ProblemAssert.IsAsync(wildcard, 400, "invalid-parameter", "'a.*'");
        await ProblemAssert.IsAsync(empty, 400, "empty-body", "application/json");
        await ProblemAssert.IsAsync(malformed, 400, "malformed-body", "JSON");
        await ProblemAssert.IsAsync(text, 415, "unsupported-media-type", "application/json");
        await ProblemAssert.IsAsync(large, 413, "body-too-large", "61,440 bytes");
        await ProblemAssert.IsAsync(position, 400, "invalid-parameter", "Last-Event-ID", "'yesterday'");
    }

    [Theory(Timeout = HangLimit)]
    [InlineData("overflow=wait", "waiting for a subscriber")]
    [InlineData("from=last", "replay")]
    public async Task Stream_OfWhatAnEphemeralTopicDoesNotHave_Is400(string query, string mention)
    {
        await using var gateway = await StartAsync(Variants.Distributed);

        using var response = await gateway.Http.GetAsync($"/api/publish-subscribe/distributed/topics/a/stream?kind=ephemeral&{query}", TestStop);

        await ProblemAssert.IsAsync(response, 400, "invalid-parameter", mention, "retained");
    }

    [Fact(Timeout = HangLimit)]
    public async Task Publish_WithoutRedis_Is503InTheDistributedVariantOnly()
    {
        await using var gateway = await StartAsync(Variants.Channel);

        using var distributed = await PublishAsync(gateway, Variants.Distributed, "a", 1);
        using var channel = await PublishAsync(gateway, Variants.Channel, "a", 1);

        await ProblemAssert.IsAsync(distributed, 503, "broker-unavailable");
        Assert.Equal(HttpStatusCode.Accepted, channel.StatusCode);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Streams_OfAGatewayThatStops_EndInsteadOfHoldingItUp()
    {
        await using var gateway = await StartAsync(Variants.Channel);
        await using var watcher = await WatchAsync(gateway, Variants.Channel, "a/stream");

        var stopping = gateway.StopAsync();

        Assert.Empty(await watcher.MessagesAsync(1));
        await stopping.WaitAsync(s_limit, TimeProvider.System, TestStop);
    }

    private async Task<GatewayHost> StartAsync(string variant, params (string, string)[] settings)
    {
        if (variant == Variants.Channel) return await GatewayHost.StartAsync(settings);
        var redis = await (await shared.OfAsync(RedisKind.Garnet)).ConnectAsync();
        return await GatewayHost.StartAsync(
            "gateway-here", services => services.AddSingleton<IConnectionMultiplexer>(_ => redis), [.. settings, ("Patterns:PublishSubscribe:events:KeyTag", SharedRedis.NewTag())]);
    }

    private static Task<HttpResponseMessage> PublishAsync(GatewayHost gateway, string variant, string topic, object message) =>
        gateway.PostAsync($"/api/publish-subscribe/{variant}/topics/{topic}", JsonContent.Create(message), "application/json");

    private static async Task<Watcher> WatchAsync(GatewayHost gateway, string variant, string stream, string? lastEventId = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, $"/api/publish-subscribe/{variant}/topics/{stream}");
        if (lastEventId is not null) request.Headers.Add("Last-Event-ID", lastEventId);
        var response = await gateway.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, TestStop);
        Assert.Equal("text/event-stream", response.Content.Headers.ContentType?.MediaType);
        return new Watcher(response, await response.Content.ReadAsStreamAsync(TestStop));
    }

    /// <summary>Reads an event stream as far as a test wants.</summary>
    private sealed class Watcher(HttpResponseMessage response, Stream body) : IAsyncDisposable
    {
        private readonly IAsyncEnumerator<SseItem<string>> _events = SseParser.Create(body).EnumerateAsync(TestStop).GetAsyncEnumerator(TestStop);

        public List<string> Types { get; } = [];

        public string? LastId { get; private set; }

        /// <summary>Returns the next messages, fewer when the stream ends.</summary>
        public async Task<List<JsonObject>> MessagesAsync(int count)
        {
            var messages = new List<JsonObject>();
            while (messages.Count < count && await _events.MoveNextAsync())
            {
                Types.Add(_events.Current.EventType);
                LastId = _events.Current.EventId;
                if (_events.Current.EventType == "message") messages.Add(JsonNode.Parse(_events.Current.Data)!.AsObject());
            }
            return messages;
        }

        public async ValueTask DisposeAsync()
        {
            response.Dispose();
            await body.DisposeAsync();
        }
    }
}
