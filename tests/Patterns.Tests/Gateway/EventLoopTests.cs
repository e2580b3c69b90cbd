using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using DistributedPatterns.Diagnostics;
using DistributedPatterns.Tests.Support;
using Microsoft.Extensions.DependencyInjection;
using StackExchange.Redis;

namespace DistributedPatterns.Tests.Gateway;

/// <summary>The event loop over HTTP: the same requests, the same answers in both variants.</summary>
public sealed class EventLoopTests(SharedRedis shared)
{
    private const int HangLimit = 60_000;

    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(30);

    private static CancellationToken TestStop => TestContext.Current.CancellationToken;

    [Theory(Timeout = HangLimit)]
    [InlineData(Variants.Channel)]
    [InlineData(Variants.Distributed)]
    public async Task Events_OfAKey_AreAcceptedAndHandled(string variant)
    {
        await using var gateway = await StartAsync(variant);

        using var accepted = await PostAsync(gateway, variant, "keys/a/events", Lines("one", "two"));
        Assert.Equal(HttpStatusCode.Accepted, accepted.StatusCode);
        var reply = (await accepted.Content.ReadFromJsonAsync<JsonObject>(TestStop))!;
        Assert.Equal(("a", $"/api/event-loop/{variant}/keys/a"), ((string?)reply["key"], accepted.Headers.Location?.ToString()));
        await Eventually.TrueAsync(async () => (await gateway.Http.GetAsync((string?)reply["location"], TestStop)).IsSuccessStatusCode, s_limit, () => "the key has no state");
        using var asked = await PostAsync(gateway, variant, "keys/a/events?wait=20s", Lines("three"));

        Assert.Equal(HttpStatusCode.OK, asked.StatusCode);
        var state = (await asked.Content.ReadFromJsonAsync<JsonObject>(TestStop))!;
        Assert.Equal((3, 3), ((int)state["applied"]!, (int)state["state"]!["lines"]!));
        var stats = await gateway.GetAsync($"/api/event-loop/{variant}/stats");
        Assert.Equal((3, 3, 0, 0), ((int)stats["ledger"]!["accepted"]!, (int)stats["ledger"]!["applied"]!, (int)stats["ledger"]!["dead"]!, (int)stats["ledger"]!["waiting"]!));
        Assert.True((bool)stats["ledger"]!["addsUp"]!);
        Assert.Empty(gateway.Log.Errors);
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(Variants.Channel)]
    [InlineData(Variants.Distributed)]
    public async Task Events_WithTheSameIdempotencyKey_AreTakenOnOnce(string variant)
    {
        await using var gateway = await StartAsync(variant);

        using var first = await PostAsync(gateway, variant, "keys/a/events", Lines("one"), "k1");
        using var again = await PostAsync(gateway, variant, "keys/a/events", Lines("one"), "k1");
        using var other = await PostAsync(gateway, variant, "keys/a/events", Lines("two"), "k1");
        using var elsewhere = await PostAsync(gateway, variant, "keys/b/events", Lines("one"), "k1");
        using var asked = await PostAsync(gateway, variant, "keys/a/events?wait=20s", Lines("one"), "k1");

        Assert.Equal((HttpStatusCode.Accepted, HttpStatusCode.Accepted), (first.StatusCode, again.StatusCode));
        Assert.False(first.Headers.Contains("Idempotent-Replayed"));
        Assert.True(again.Headers.Contains("Idempotent-Replayed"));
        Assert.Equal(await first.Content.ReadAsStringAsync(TestStop), await again.Content.ReadAsStringAsync(TestStop));
        await ProblemAssert.IsAsync(other, 422, "idempotency-mismatch");
        await ProblemAssert.IsAsync(elsewhere, 422, "idempotency-mismatch");
        Assert.Equal(1, (int)(await asked.Content.ReadFromJsonAsync<JsonObject>(TestStop))!["applied"]!);
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(Variants.Channel)]
    [InlineData(Variants.Distributed)]
    public async Task Partitions_ShowOwnersAndEpochs_AndAPostForAnotherEpochIs409(string variant)
    {
        await using var gateway = await StartAsync(variant);
        JsonArray partitions = [];
        await Eventually.TrueAsync(
            async () => (partitions = (await gateway.Http.GetFromJsonAsync<JsonArray>($"/api/event-loop/{variant}/partitions", TestStop))!).All(one => one!["owner"] is not null),
            s_limit, () => partitions.ToJsonString());
        Assert.Equal(4, partitions.Count);
        Assert.All(partitions, one => Assert.StartsWith("gateway-here", (string?)one!["owner"], StringComparison.Ordinal));
        using var accepted = await PostAsync(gateway, variant, "keys/a/events?wait=20s", Lines("one"));
        var partition = (int)(await accepted.Content.ReadFromJsonAsync<JsonObject>(TestStop))!["partition"]!;
        var epoch = (long)partitions[partition]!["epoch"]!;

        using var current = await PostAsync(gateway, variant, $"keys/a/events?epoch={epoch}", Lines("two"));
        using var stale = await PostAsync(gateway, variant, $"keys/a/events?epoch={epoch - 1}", Lines("three"));
        using var wrong = await PostAsync(gateway, variant, "keys/a/events?epoch=now", Lines("four"));

        Assert.Equal(HttpStatusCode.Accepted, current.StatusCode);
        await ProblemAssert.IsAsync(stale, 409, "fenced", $"{epoch}");
        await ProblemAssert.IsAsync(wrong, 400, "invalid-parameter", "'now'");
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(Variants.Channel, "a", "{\"events\":[]}", 400, "invalid-events", "1 to 100")]
    [InlineData(Variants.Channel, "a", "{}", 400, "invalid-events", "1 to 100")]
    [InlineData(Variants.Channel, "a", "{\"events\":[{\"body\":{}}]}", 400, "invalid-events", "events[0] has no 'handler'")]
    [InlineData(Variants.Channel, "a", "{\"events\":[null]}", 400, "invalid-events", "events[0] has no 'handler'")]
    [InlineData(Variants.Channel, "a", "{\"events\":[{\"handler\":\"tally\"}]}", 400, "invalid-events", "events[0] has no 'body'")]
    [InlineData(Variants.Channel, "a", "{\"events\":[{\"handler\":\"nobody\",\"body\":1}]}", 400, "invalid-events", "tally, visit, visit-end")]
    [InlineData(Variants.Channel, "a", "{\"events\":[{\"handler\":\"tally\",\"body\":1}]}", 400, "invalid-events", "'tally' does not take")]
    [InlineData(Variants.Channel, "a", "{\"events\":[{\"handler\":\"tally\",\"body\":null}]}", 400, "invalid-events", "events[0] has no 'body'")]
    [InlineData(Variants.Channel, "a", "[]", 400, "malformed-body", "'events'")]
    [InlineData(Variants.Channel, "a", "{\"event\":1}", 400, "malformed-body", "'events'")]
    [InlineData(Variants.Channel, "a%20b", "{\"events\":[{\"handler\":\"tally\",\"body\":{\"line\":\"x\"}}]}", 400, "invalid-events", "'a b' is no key")]
    [InlineData(Variants.Distributed, "a%20b", "{\"events\":[{\"handler\":\"tally\",\"body\":{\"line\":\"x\"}}]}", 400, "invalid-events", "'a b' is no key")]
    [InlineData(Variants.Distributed, "a", "{\"events\":[{\"handler\":\"nobody\",\"body\":1}]}", 400, "invalid-events", "tally, visit, visit-end")]
    public async Task Post_OfBadEvents_IsAProblemThatNamesWhatIsAccepted(string variant, string key, string body, int status, string slug, string mention)
    {
        await using var gateway = await StartAsync(variant);

        using var refused = await gateway.PostAsync($"/api/event-loop/{variant}/keys/{key}/events", new StringContent(body), "application/json");

        await ProblemAssert.IsAsync(refused, status, slug, mention);
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(Variants.Channel)]
    [InlineData(Variants.Distributed)]
    public async Task Key_WithoutAState_Is404AndAFailedEventIs502(string variant)
    {
        await using var gateway = await StartAsync(variant);
        using var none = await gateway.Http.GetAsync($"/api/event-loop/{variant}/keys/nobody", TestStop);
        await ProblemAssert.IsAsync(none, 404, "key-not-found", "nobody");

        using var first = await PostAsync(gateway, variant, "keys/a/events?wait=20s", Lines("one"));
        using var failed = await gateway.PostAsync(
            $"/api/event-loop/{variant}/keys/a/events?wait=20s", new StringContent("{\"events\":[{\"handler\":\"tally\",\"body\":{}}]}"), "application/json");

        await ProblemAssert.IsAsync(failed, 502, "operation-failed", "'a'");
        Assert.Contains("'line' is missing", (string?)(await gateway.GetAsync($"/api/event-loop/{variant}/stats"))["lastError"], StringComparison.Ordinal);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Post_BeyondTheCapacity_Is503()
    {
        // Nobody owns the partitions, so nothing is handled.
        var redis = await (await shared.OfAsync(RedisKind.Garnet)).ConnectAsync();
        await using var gateway = await GatewayHost.StartAsync(
            "gateway-here", services => services.AddSingleton<IConnectionMultiplexer>(_ => redis),
            ("Patterns:EventLoop:Redis:KeyTag", SharedRedis.NewTag()), ("Patterns:EventLoop:Redis:Capacity", "100"));
        using var fits = await PostAsync(gateway, Variants.Distributed, "keys/a/events", Lines([.. Enumerable.Range(0, 100).Select(i => $"{i}")]));

        using var full = await PostAsync(gateway, Variants.Distributed, "keys/a/events", Lines("one more"));
        using var late = await PostAsync(gateway, Variants.Distributed, "keys/b/events?wait=2s", Lines("one"));

        Assert.Equal((HttpStatusCode.Accepted, HttpStatusCode.Accepted), (fits.StatusCode, late.StatusCode));
        await ProblemAssert.IsAsync(full, 503, "full", "100 of 100 events", "Capacity");
    }

    [Fact(Timeout = HangLimit)]
    public async Task Partitions_WithoutRedis_Are503InTheDistributedVariantOnly()
    {
        await using var gateway = await StartAsync(Variants.Channel);

        using var distributed = await gateway.Http.GetAsync("/api/event-loop/distributed/partitions", TestStop);
        using var channel = await gateway.Http.GetAsync("/api/event-loop/channel/partitions", TestStop);

        await ProblemAssert.IsAsync(distributed, 503, "broker-unavailable");
        Assert.Equal(HttpStatusCode.OK, channel.StatusCode);
    }

    private static Task<HttpResponseMessage> PostAsync(GatewayHost gateway, string variant, string path, HttpContent body, string? key = null) =>
        gateway.PostAsync($"/api/event-loop/{variant}/{path}", body, "application/json", key);

    private static JsonContent Lines(params string[] lines) => JsonContent.Create(new { events = lines.Select(line => new { handler = "tally", body = new { line } }) });

    /// <summary>Starts a gateway; for the distributed variant with Redis, and it owns the partitions as a worker does.</summary>
    private async Task<GatewayHost> StartAsync(string variant)
    {
        if (variant == Variants.Channel) return await GatewayHost.StartAsync(("Patterns:EventLoop:Channel:Partitions", "4"));
        var redis = await (await shared.OfAsync(RedisKind.Garnet)).ConnectAsync();
        return await GatewayHost.StartAsync(
            "gateway-here", services => services.AddSingleton<IConnectionMultiplexer>(_ => redis).AddRedisLoopRunner(),
            ("Patterns:EventLoop:Redis:KeyTag", SharedRedis.NewTag()), ("Patterns:EventLoop:Redis:Lease", "00:00:30"), ("Patterns:EventLoop:Redis:Partitions", "4"));
    }
}
