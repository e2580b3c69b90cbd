using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using DistributedPatterns.Diagnostics;
using DistributedPatterns.Tests.Support;
using Microsoft.Extensions.DependencyInjection;
using StackExchange.Redis;

namespace DistributedPatterns.Tests.Gateway;

/// <summary>The queue over HTTP: producers and consumers that are clients, the same answers in both variants.</summary>
public sealed class ProducerConsumerTests(SharedRedis shared)
{
    private const int HangLimit = 60_000;

    private static CancellationToken TestStop => TestContext.Current.CancellationToken;

    [Theory(Timeout = HangLimit)]
    [InlineData(Variants.Channel)]
    [InlineData(Variants.Distributed)]
    public async Task Items_HandedInReservedAndAcknowledged_AreDone(string variant)
    {
        await using var gateway = await StartAsync(variant);
        using var accepted = await PostItemsAsync(gateway, variant, """{"items":[{"payload":{"n":1}},{"payload":"two"},{"payload":3,"delayMs":3600000}]}""");
        Assert.Equal(HttpStatusCode.Accepted, accepted.StatusCode);

        var reserved = await ReserveAsync(gateway, variant, "n=5&wait=10s");

        Assert.Equal(["""{"n":1}""", "\"two\""], reserved.Select(item => item["payload"]!.ToJsonString()));
        foreach (var item in reserved) Assert.Equal(HttpStatusCode.NoContent, await SettleAsync(gateway, variant, item, "ack"));
        var status = await gateway.GetAsync($"/api/producer-consumer/{variant}/items/{reserved[0]["id"]}");
        Assert.Equal(("Done", 1), ((string?)status["state"], (int)status["attempts"]!));
        AssertLedger(await StatsAsync(gateway, variant), ("in", 3), ("done", 2), ("delayed", 1));
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(Variants.Channel)]
    [InlineData(Variants.Distributed)]
    public async Task Items_WithSameKey_AreHandedInOnceAndAnotherBodyIsRefused(string variant)
    {
        await using var gateway = await StartAsync(variant);
        var key = $"key-{Guid.NewGuid():N}";
        using var first = await PostItemsAsync(gateway, variant, """{"items":[{"payload":1},{"payload":2}]}""", key);
        using var again = await PostItemsAsync(gateway, variant, """{ "items": [ { "payload": 1 }, { "payload": 2 } ] }""", key);
        using var other = await PostItemsAsync(gateway, variant, """{"items":[{"payload":1}]}""", key);

        Assert.Equal(await first.Content.ReadAsStringAsync(TestStop), await again.Content.ReadAsStringAsync(TestStop));
        Assert.Equal("true", again.Headers.GetValues("Idempotent-Replayed").Single());
        await ProblemAssert.IsAsync(other, 422, "idempotency-mismatch", key);
        AssertLedger(await StatsAsync(gateway, variant), ("in", 2));
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(Variants.Channel)]
    [InlineData(Variants.Distributed)]
    public async Task Ack_AfterTheLeaseRanOut_IsRefusedAndTheNextHolderCounts(string variant)
    {
        await using var gateway = await StartAsync(variant);
        using var accepted = await PostItemsAsync(gateway, variant, """{"items":[{"payload":1}]}""");
        var slow = (await ReserveAsync(gateway, variant, "lease=500ms")).Single();

        var next = (await ReserveAsync(gateway, variant, "wait=20s")).Single(); // once the lease has run out

        Assert.Equal(((string?)slow["id"], 2), ((string?)next["id"], (int)next["attempt"]!));
        using var stale = await gateway.PostAsync(SettlePath(variant, slow, "ack"), null, null);
        await ProblemAssert.IsAsync(stale, 409, "stale-token", (string)slow["token"]!);
        Assert.Equal(HttpStatusCode.NoContent, await SettleAsync(gateway, variant, next, "extend", "&lease=30s"));
        Assert.Equal(HttpStatusCode.NoContent, await SettleAsync(gateway, variant, next, "ack"));
        AssertLedger(await StatsAsync(gateway, variant), ("in", 1), ("done", 1), ("fenced", 1), ("expired", 1));
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(Variants.Channel)]
    [InlineData(Variants.Distributed)]
    public async Task Nack_AtTheLastAttempt_IsDeadUntilItIsReplayed(string variant)
    {
        await using var gateway = await StartAsync(variant, ("Patterns:ProducerConsumer:items:MaxAttempts", "1"));
        using var accepted = await PostItemsAsync(gateway, variant, """{"items":[{"payload":{"a":[1,2]}}]}""");
        var item = (await ReserveAsync(gateway, variant, "")).Single();

        using var nacked = await gateway.PostAsync(SettlePath(variant, item, "nack") + "&reason=no", null, null);

        Assert.Equal("DeadLettered", (string?)(await JsonOf(nacked))["outcome"]);
        var dead = (await gateway.GetAsync($"/api/producer-consumer/{variant}/dead"))["items"]!.AsArray().Single()!;
        Assert.Equal(((string?)item["id"], "nack no", """{"a":[1,2]}"""), ((string?)dead["id"], (string?)dead["reason"], dead["payload"]!.ToJsonString()));
        using var replayed = await gateway.PostAsync($"/api/producer-consumer/{variant}/dead/replay", null, null);
        Assert.Equal((1, 0), ((int)(await JsonOf(replayed))["replayed"]!, (int)(await JsonOf(replayed))["left"]!));
        Assert.Equal("Replayed", (string?)(await ReserveAsync(gateway, variant, "")).Single()["redelivery"]);
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(Variants.Channel)]
    [InlineData(Variants.Distributed)]
    public async Task Items_BeyondTheCapacity_AreRefusedAndCounted(string variant)
    {
        await using var gateway = await StartAsync(variant, ("Patterns:ProducerConsumer:items:Capacity", "2"));
        using var some = await PostItemsAsync(gateway, variant, """{"items":[{"payload":1},{"payload":2},{"payload":3}]}""");
        Assert.Equal(["Accepted", "Accepted", "Full"], (await JsonOf(some, HttpStatusCode.Accepted))["items"]!.AsArray().Select(item => (string)item!["outcome"]!));

        using var none = await PostItemsAsync(gateway, variant, """{"items":[{"payload":4}]}""");

        await ProblemAssert.IsAsync(none, 503, "full", "2 of 2", "Patterns:ProducerConsumer:items:Capacity");
        AssertLedger(await StatsAsync(gateway, variant), ("in", 2), ("ready", 2), ("rejected", 2));
    }

    [Theory(Timeout = HangLimit)]
    [InlineData("""{"items":[]}""", 400, "invalid-items", "1 to 100")]
    [InlineData("""{"items":[{}]}""", 400, "invalid-items", "items[0] has no 'payload'")]
    [InlineData("""{"items":[{"payload":1},{"payload":1,"priority":16}]}""", 400, "invalid-items", "items[1].priority")]
    [InlineData("""{"items":[{"payload":1,"delayMs":-1}]}""", 400, "invalid-items", "items[0].delayMs")]
    [InlineData("""{"items":[{"payload":1,"ttlMs":0}]}""", 400, "invalid-items", "items[0].ttlMs")]
    [InlineData("""{"items":[{"payload":1,"id":"a b"}]}""", 400, "invalid-items", "items[0].id")]
    [InlineData("""{"items":[{"payload":1,"colour":"red"}]}""", 400, "malformed-body", "'items'")]
    [InlineData("[", 400, "malformed-body", "'items'")]
    public async Task Items_ThatAreNotAccepted_AreNamed(string body, int status, string slug, string mention)
    {
        await using var gateway = await StartAsync(Variants.Channel);

        using var refused = await PostItemsAsync(gateway, Variants.Channel, body);

        await ProblemAssert.IsAsync(refused, status, slug, mention);
    }

    [Theory(Timeout = HangLimit)]
    [InlineData("reserve?n=0", 400, "invalid-parameter", "1 to 100")]
    [InlineData("reserve?n=x", 400, "invalid-parameter", "'n'")]
    [InlineData("reserve?lease=1ms", 400, "invalid-parameter", "'lease'")]
    [InlineData("items/none/ack?token=1", 404, "item-not-found", "'none'")]
    [InlineData("items/none/ack?token=x", 400, "invalid-parameter", "'token'")]
    [InlineData("items/none/ack", 400, "invalid-parameter", "'token'")]
    public async Task Post_OfWhatIsNotThere_IsNamed(string path, int status, string slug, string mention)
    {
        await using var gateway = await StartAsync(Variants.Channel);

        using var refused = await gateway.PostAsync($"/api/producer-consumer/channel/{path}", null, null);

        await ProblemAssert.IsAsync(refused, status, slug, mention);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Items_WithAPayloadThatIsTooLarge_AreRefused()
    {
        await using var gateway = await StartAsync(Variants.Channel);

        using var refused = await PostItemsAsync(gateway, Variants.Channel, $$"""{"items":[{"payload":"{{new string('a', 62_000)}}"}]}""");

        await ProblemAssert.IsAsync(refused, 413, "body-too-large", "items[0].payload", "61,440");
    }

    private async Task<GatewayHost> StartAsync(string variant, params (string, string)[] settings)
    {
        var redis = variant == Variants.Distributed ? await (await shared.OfAsync(RedisKind.Garnet)).ConnectAsync() : null;
        return await GatewayHost.StartAsync("gateway-here", services =>
        {
            if (redis is not null) services.AddSingleton<IConnectionMultiplexer>(_ => redis);
        }, [("Patterns:ProducerConsumer:items:KeyTag", SharedRedis.NewTag()), .. settings]);
    }

    private static Task<HttpResponseMessage> PostItemsAsync(GatewayHost gateway, string variant, string body, string? key = null) =>
        gateway.PostAsync($"/api/producer-consumer/{variant}/items", new StringContent(body, Encoding.UTF8), "application/json", key);

    private static async Task<IReadOnlyList<JsonNode>> ReserveAsync(GatewayHost gateway, string variant, string query)
    {
        using var reply = await gateway.PostAsync($"/api/producer-consumer/{variant}/reserve?{query}", null, null);
        return [.. (await JsonOf(reply))["items"]!.AsArray().Select(item => item!)];
    }

    private static string SettlePath(string variant, JsonNode item, string verb) => $"/api/producer-consumer/{variant}/items/{item["id"]}/{verb}?token={item["token"]}";

    private static async Task<HttpStatusCode> SettleAsync(GatewayHost gateway, string variant, JsonNode item, string verb, string query = "")
    {
        using var reply = await gateway.PostAsync(SettlePath(variant, item, verb) + query, null, null);
        return reply.StatusCode;
    }

    private static Task<JsonObject> StatsAsync(GatewayHost gateway, string variant) => gateway.GetAsync($"/api/producer-consumer/{variant}/stats");

    private static void AssertLedger(JsonObject ledger, params (string Name, int Count)[] expected)
    {
        foreach (var (name, count) in expected) Assert.True((int)ledger[name]! == count, $"{name} is {ledger[name]} instead of {count}: {ledger.ToJsonString()}");
        Assert.True((bool)ledger["balances"]!, ledger.ToJsonString());
    }

    private static async Task<JsonObject> JsonOf(HttpResponseMessage reply, HttpStatusCode expected = HttpStatusCode.OK)
    {
        var text = await reply.Content.ReadAsStringAsync(TestStop);
        Assert.True(reply.StatusCode == expected, $"{reply.StatusCode}: {text}");
        return JsonNode.Parse(text)!.AsObject();
    }
}
