using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using DistributedPatterns.Diagnostics;
using DistributedPatterns.Tests.Support;
using Microsoft.Extensions.DependencyInjection;
using StackExchange.Redis;

namespace DistributedPatterns.Tests.Gateway;

/// <summary>Supervision over HTTP: the same requests, the same answers in both variants.</summary>
public sealed class SupervisionTests(SharedRedis shared)
{
    private const int HangLimit = 90_000;

    private static readonly string[] s_children = ["feed", "lines", "words", "checksum"];
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(40);

    private static CancellationToken TestStop => TestContext.Current.CancellationToken;

    [Theory(Timeout = HangLimit)]
    [InlineData(Variants.Channel)]
    [InlineData(Variants.Distributed)]
    public async Task Tree_ShowsChildrenThatCount(string variant)
    {
        await using var gateway = await StartAsync(variant);

        var tree = await UntilAsync(gateway, variant, tree => AllRun(tree) && Child(tree, "words")["value"] is not null);

        Assert.Equal(s_children, tree["children"]!.AsArray().Select(child => (string?)child!["name"]));
        Assert.Equal(("OneForOne", 5, 5), ((string?)tree["strategy"], (int)tree["budget"]!["maxRestarts"]!, (int)tree["budget"]!["left"]!));
        Assert.All(tree["children"]!.AsArray(), child =>
        {
            Assert.StartsWith("gateway-here", (string?)child!["owner"], StringComparison.Ordinal);
            Assert.True((long)child["epoch"]! > 0);
        });
        Assert.Equal(variant == Variants.Distributed, Child(tree, "feed")["leaseLeft"] is not null);
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(Variants.Channel, "lines", "crash", "crashed")]
    [InlineData(Variants.Channel, "words", "hang", "hung")]
    [InlineData(Variants.Channel, "feed", "exit", "exited")]
    [InlineData(Variants.Distributed, "lines", "crash", "crashed")]
    [InlineData(Variants.Distributed, "words", "hang", "hung")]
    [InlineData(Variants.Distributed, "feed", "exit", "exited")]
    public async Task Fault_OfAChild_IsFollowedByARestartThatCountsOn(string variant, string child, string fault, string reason)
    {
        // Only a child that hangs needs a short limit; on a busy machine one that is merely slow could pass it.
        await using var gateway = await StartAsync(variant, ("Patterns:Supervision:Tailing:HeartbeatLimit", fault == "hang" ? "00:00:04" : "00:00:30"));
        var before = await UntilAsync(gateway, variant, tree => AllRun(tree) && CountOf(tree, child) > 0);

        using var accepted = await gateway.PostAsync($"/api/supervision/{variant}/children/{child}/{fault}", null, null);

        Assert.Equal(HttpStatusCode.Accepted, accepted.StatusCode);
        var reply = (await accepted.Content.ReadFromJsonAsync<JsonObject>(TestStop))!;
        Assert.Equal((long)Child(before, child)["epoch"]!, (long)reply["epoch"]!);
        var after = await UntilAsync(gateway, variant, tree => AllRun(tree) && (long)Child(tree, child)["epoch"]! > (long)reply["epoch"]! && CountOf(tree, child) > CountOf(before, child));
        Assert.Contains(reason, (string?)Child(after, child)["reason"], StringComparison.Ordinal);
        Assert.Equal(4, (int)after["budget"]!["left"]!);
        var stats = await gateway.GetAsync($"/api/supervision/{variant}/stats");
        Assert.Equal((1, 1), ((int)stats["ledger"]![reason]!, (int)stats["counters"]!["restarts"]!));
        Assert.Equal((long)stats["ledger"]!["started"]!, ((string[])["running", "exited", "crashed", "hung", "stopped", "lost"]).Sum(name => (long)stats["ledger"]![name]!));
        Assert.Empty(gateway.Log.Errors);
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(Variants.Channel)]
    [InlineData(Variants.Distributed)]
    public async Task Crash_BeyondTheBudget_IsAnEscalationUntilReset(string variant)
    {
        await using var gateway = await StartAsync(variant, ("Patterns:Supervision:Channel:MaxRestarts", "0"), ("Patterns:Supervision:Redis:MaxRestarts", "0"));
        await UntilAsync(gateway, variant, AllRun);
        using var crash = await gateway.PostAsync($"/api/supervision/{variant}/children/lines/crash", null, null);
        var tree = await UntilAsync(gateway, variant, tree => tree["escalated"] is not null && tree["children"]!.AsArray().All(child => (string?)child!["state"] == "Stopped"));

        using var refused = await gateway.PostAsync($"/api/supervision/{variant}/children/feed/crash", null, null);
        using var reset = await gateway.PostAsync($"/api/supervision/{variant}/reset", null, null);

        Assert.Contains("lines crashed", (string?)tree["escalated"], StringComparison.Ordinal);
        await ProblemAssert.IsAsync(refused, 409, "escalated", "lines crashed");
        Assert.Equal(HttpStatusCode.NoContent, reset.StatusCode);
        await UntilAsync(gateway, variant, tree => tree["escalated"] is null && AllRun(tree));
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(Variants.Channel)]
    [InlineData(Variants.Distributed)]
    public async Task Strategy_IsChangedByName(string variant)
    {
        await using var gateway = await StartAsync(variant);
        await UntilAsync(gateway, variant, AllRun);

        using var changed = await gateway.Http.PutAsync($"/api/supervision/{variant}/strategy?use=rest-for-one", null, TestStop);
        using var wrong = await gateway.Http.PutAsync($"/api/supervision/{variant}/strategy?use=all", null, TestStop);
        using var none = await gateway.Http.PutAsync($"/api/supervision/{variant}/strategy", null, TestStop);

        Assert.Equal("RestForOne", (string?)(await changed.Content.ReadFromJsonAsync<JsonObject>(TestStop))!["strategy"]);
        Assert.Equal("RestForOne", (string?)(await TreeAsync(gateway, variant))["strategy"]);
        await ProblemAssert.IsAsync(wrong, 400, "invalid-parameter", "one-for-all", "'all'");
        await ProblemAssert.IsAsync(none, 400, "invalid-parameter", "one-for-one");
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(Variants.Channel)]
    [InlineData(Variants.Distributed)]
    public async Task Fault_OfWhatDoesNotRun_IsAProblem(string variant)
    {
        await using var gateway = await StartAsync(variant);
        await UntilAsync(gateway, variant, AllRun);
        using var exit = await gateway.PostAsync($"/api/supervision/{variant}/children/checksum/exit", null, null);
        await UntilAsync(gateway, variant, tree => (string?)Child(tree, "checksum")["state"] == "Exited");

        using var ended = await gateway.PostAsync($"/api/supervision/{variant}/children/checksum/crash", null, null);
        using var unknown = await gateway.PostAsync($"/api/supervision/{variant}/children/nobody/crash", null, null);
        using var fault = await gateway.PostAsync($"/api/supervision/{variant}/children/lines/burn", null, null);

        await ProblemAssert.IsAsync(ended, 409, "child-not-running", "checksum", "Exited");
        await ProblemAssert.IsAsync(unknown, 404, "child-not-found", "nobody", "feed, lines, words, checksum");
        await ProblemAssert.IsAsync(fault, 404, "unknown-route");
    }

    [Fact(Timeout = HangLimit)]
    public async Task Tree_WithoutRedis_Is503InTheDistributedVariantOnly()
    {
        await using var gateway = await StartAsync(Variants.Channel);

        using var distributed = await gateway.Http.GetAsync("/api/supervision/distributed/tree", TestStop);
        using var channel = await gateway.Http.GetAsync("/api/supervision/channel/tree", TestStop);

        await ProblemAssert.IsAsync(distributed, 503, "broker-unavailable");
        Assert.Equal(HttpStatusCode.OK, channel.StatusCode);
    }

    /// <summary>Starts a gateway; for the distributed variant with Redis, and it runs the children as a worker does.</summary>
    private async Task<GatewayHost> StartAsync(string variant, params (string, string)[] settings)
    {
        settings = [("Patterns:Supervision:Tailing:GrowEvery", "00:00:00.020"), ("Patterns:Supervision:Tailing:HeartbeatLimit", "00:00:30"), .. settings];
        if (variant == Variants.Channel) return await GatewayHost.StartAsync(settings);
        var redis = await (await shared.OfAsync(RedisKind.Garnet)).ConnectAsync();
        return await GatewayHost.StartAsync(
            "gateway-here", services => services.AddSingleton<IConnectionMultiplexer>(_ => redis).AddRedisChildRunner(),
            [.. settings, ("Patterns:Supervision:Redis:KeyTag", SharedRedis.NewTag()), ("Patterns:Supervision:Redis:Lease", "00:00:30")]);
    }

    private static Task<JsonObject> TreeAsync(GatewayHost gateway, string variant) => gateway.GetAsync($"/api/supervision/{variant}/tree");

    private static async Task<JsonObject> UntilAsync(GatewayHost gateway, string variant, Func<JsonObject, bool> condition)
    {
        JsonObject? last = null;
        await Eventually.TrueAsync(async () => condition(last = await TreeAsync(gateway, variant)), s_limit, () => last?.ToJsonString() ?? "no tree");
        return last!;
    }

    private static bool AllRun(JsonObject tree) => tree["children"]!.AsArray().All(child => (string?)child!["state"] == "Running");

    private static JsonNode Child(JsonObject tree, string name) => tree["children"]!.AsArray().Single(child => (string?)child!["name"] == name)!;

    private static long CountOf(JsonObject tree, string child) =>
        (string?)Child(tree, child)["value"] is { } value ? long.Parse(value.Split(' ') is [_, var count, _] ? count : value, System.Globalization.CultureInfo.InvariantCulture) : 0;
}
