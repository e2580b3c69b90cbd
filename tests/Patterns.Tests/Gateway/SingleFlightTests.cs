using System.Net;
using System.Net.Http.Json;
using System.Security.Cryptography;
using System.Text.Json.Nodes;
using DistributedPatterns.Diagnostics;
using DistributedPatterns.Tests.Support;
using Microsoft.Extensions.DependencyInjection;
using StackExchange.Redis;

namespace DistributedPatterns.Tests.Gateway;

/// <summary>Singleflight over HTTP: the same requests, the same answers in both variants; across processes over two gateways.</summary>
public sealed class SingleFlightTests(SharedRedis shared) : IAsyncDisposable
{
    private const int HangLimit = 90_000;

    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(40);

    private readonly string _tag = SharedRedis.NewTag();
    private readonly List<ConnectionMultiplexer> _connections = [];

    private static CancellationToken TestStop => TestContext.Current.CancellationToken;

    public async ValueTask DisposeAsync()
    {
        foreach (var connection in _connections) await connection.DisposeAsync();
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(Variants.Channel)]
    [InlineData(Variants.Distributed)]
    public async Task Get_ByMany_IsOneRun(string variant)
    {
        const int Callers = 200;
        await using var a = await StartAsync(variant);
        await using var b = variant == Variants.Distributed ? await StartAsync(variant) : null;
        GatewayHost[] gateways = [a, b ?? a];
        await a.GetAsync(Route(variant, "keys/warm")); // connected by now
        await gateways[1].GetAsync(Route(variant, "keys/warm"));

        var leading = GetAsync(a, variant, "keys/key?work=io:10s");
        await StatsAsync(a, variant, stats => Of(stats, "running") == 1);
        var replies = await Task.WhenAll(Enumerable.Range(0, Callers).Select(i => GetAsync(gateways[i % 2], variant, "keys/key?work=io:10s")).Append(leading));

        Assert.All(replies, reply => Assert.Equal(HttpStatusCode.OK, reply.Status));
        Assert.Single(replies.Select(reply => (string?)reply.Body["run"]).Distinct());
        Assert.Equal(("led", "key", true), ((await leading).Flight, (string?)(await leading).Body["key"], (bool)(await leading).Body["isShared"]!));
        Assert.Equal(Callers, replies.Count(reply => reply.Flight == "joined"));
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(Variants.Channel)]
    [InlineData(Variants.Distributed)]
    public async Task Get_WhileItIsKept_IsCachedUntilItIsForgotten(string variant)
    {
        await using var gateway = await StartAsync(variant);

        var led = await GetAsync(gateway, variant, "keys/a%20b?ttl=10m");
        var cached = await GetAsync(gateway, variant, "keys/a%20b?ttl=0");
        using var forgotten = await gateway.Http.DeleteAsync(new Uri(Route(variant, "keys/a%20b"), UriKind.Relative), TestStop);
        var anew = await GetAsync(gateway, variant, "keys/a%20b?ttl=0");

        Assert.Equal(("led", "cached", "led"), (led.Flight, cached.Flight, anew.Flight));
        Assert.Equal((string?)led.Body["run"], (string?)cached.Body["run"]);
        Assert.NotEqual((string?)led.Body["run"], (string?)anew.Body["run"]);
        Assert.Equal(("a b", "gateway-here"), ((string?)led.Body["key"], (string?)led.Body["process"]));
        Assert.Equal(HttpStatusCode.NoContent, forgotten.StatusCode);
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(Variants.Channel)]
    [InlineData(Variants.Distributed)]
    public async Task Get_OfARunThatFails_Is502ForAllAndNotKept(string variant)
    {
        await using var gateway = await StartAsync(variant);

        const string Path = "keys/key?work=io:5s&outcome=error&ttl=10m";
        var leading = GetAsync(gateway, variant, Path); // the others come while it runs, connected or not
        await StatsAsync(gateway, variant, stats => Of(stats, "running") == 1);
        var replies = await Task.WhenAll(Enumerable.Range(0, 19).Select(_ => GetAsync(gateway, variant, Path)).Append(leading));
        var next = await GetAsync(gateway, variant, "keys/key");

        Assert.All(replies, reply => ProblemAssert.Is(reply.Body.ToJsonString(), 502, "flight-failed", "it was asked to fail"));
        Assert.Single(replies.Select(reply => (string?)reply.Body["detail"]).Distinct());
        Assert.Equal(1, replies.Count(reply => reply.Flight == "led"));
        Assert.Equal((HttpStatusCode.OK, "led"), (next.Status, next.Flight));
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(Variants.Channel)]
    [InlineData(Variants.Distributed)]
    public async Task Get_WhoseTimeIsOverOrWhoseClientLeaves_EndsTheRunWithTheLastOfThem(string variant)
    {
        await using var gateway = await StartAsync(variant);
        using var client = new CancellationTokenSource();
        await gateway.GetAsync(Route(variant, "keys/warm"));

        var leaving = gateway.Http.GetAsync(new Uri(Route(variant, "keys/key?work=io:60s&timeout=60s"), UriKind.Relative), client.Token);
        await StatsAsync(gateway, variant, stats => Of(stats, "running") == 1);
        using var late = await gateway.Http.GetAsync(new Uri(Route(variant, "keys/key?timeout=100ms"), UriKind.Relative), TestStop);
        await ProblemAssert.IsAsync(late, 504, "deadline-exceeded", "00:00:00.1");
        Assert.Equal(1, Of(await gateway.GetAsync(Route(variant, "stats")), "running"));
        await client.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => leaving);
        var stats = await StatsAsync(gateway, variant, stats => Of(stats, "running") == 0);
        Assert.Equal((1, 1, 1), (Of(stats, "cancelled"), Of(stats, "left"), Of(stats, "timedOut")));
        Assert.Empty(gateway.Log.Errors);
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(Variants.Channel)]
    [InlineData(Variants.Distributed)]
    public async Task Digest_OfAFile_IsItsSha256AndAnotherOneWhenTheFileIsWrittenAnew(string variant)
    {
        await using var gateway = await StartAsync(variant);
        var text = string.Concat(Enumerable.Range(0, 200_000).Select(i => $"line {i}\n"));
        var first = await PutAsync(text);
        var second = await PutAsync(text + "more");

        var sample = await GetAsync(gateway, variant, "digest?input=us-constitution.txt");
        Assert.Equal(HttpStatusCode.OK, sample.Status);
        Assert.NotEqual(first, second);

        async Task<string> PutAsync(string content)
        {
            using var put = await gateway.Http.PutAsync(new Uri("/api/map-reduce/channel/inputs/big.txt", UriKind.Relative), new StringContent(content), TestStop);
            Assert.True(put.IsSuccessStatusCode, await put.Content.ReadAsStringAsync(TestStop));
            var replies = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => GetAsync(gateway, variant, "digest?input=big.txt&ttl=10m")));
            var expected = Convert.ToHexStringLower(SHA256.HashData(System.Text.Encoding.UTF8.GetBytes(content)));
            Assert.All(replies, reply => Assert.Equal((expected, (long)content.Length), ((string?)reply.Body["sha256"], (long)reply.Body["bytes"]!)));
            Assert.Equal(1, replies.Count(reply => reply.Flight == "led"));
            return expected;
        }
    }

    [Theory(Timeout = HangLimit)]
    [InlineData("keys/a?work=sleep", 400, "invalid-parameter", "io:5ms")]
    [InlineData("keys/a?ttl=2h", 400, "invalid-parameter", "from 0s to 3600s")]
    [InlineData("keys/a?ttl=5", 400, "invalid-parameter", "from 0s to 3600s")]
    [InlineData("keys/a?timeout=0ms", 400, "invalid-parameter", "from 1ms to 60s")]
    [InlineData("keys/a?outcome=maybe", 400, "invalid-parameter", "ok or error")]
    [InlineData("keys/a?wait=1s", 400, "invalid-parameter", "work, ttl, timeout, outcome")]
    [InlineData("digest", 400, "invalid-parameter", "'input'")]
    [InlineData("digest?input=nothing.txt", 422, "unknown-input", "nothing.txt")]
    [InlineData("digest?input=../secret", 422, "unknown-input", "us-constitution.txt")]
    [InlineData("keys", 404, "unknown-route", "/api/patterns")]
    [InlineData("stats?key=a", 400, "invalid-parameter", "takes none")]
    public async Task Get_WithWhatIsNotAccepted_NamesWhatIs(string path, int status, string slug, string accepted)
    {
        await using var gateway = await StartAsync(Variants.Channel);

        using var response = await gateway.Http.GetAsync(new Uri(Route(Variants.Channel, path), UriKind.Relative), TestStop);

        await ProblemAssert.IsAsync(response, status, slug, accepted);
        Assert.Empty(gateway.Log.Errors);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Get_WithAKeyThatIsTooLong_Is400()
    {
        await using var gateway = await StartAsync(Variants.Channel);

        using var response = await gateway.Http.GetAsync(new Uri(Route(Variants.Channel, $"keys/{new string('k', 201)}"), UriKind.Relative), TestStop);

        await ProblemAssert.IsAsync(response, 400, "invalid-parameter", "1 to 200 characters");
    }

    [Fact(Timeout = HangLimit)]
    public async Task Get_BeyondTheLimit_Is503AndNamesIt()
    {
        await using var gateway = await GatewayHost.StartAsync(("Patterns:SingleFlight:Channel:MaxFlights", "1"));
        var leading = GetAsync(gateway, Variants.Channel, "keys/a?work=io:10s");
        await StatsAsync(gateway, Variants.Channel, stats => Of(stats, "running") == 1);

        using var refused = await gateway.Http.GetAsync(new Uri(Route(Variants.Channel, "keys/b"), UriKind.Relative), TestStop);

        await ProblemAssert.IsAsync(refused, 503, "full", "1 of 1", "MaxFlights");
        Assert.Equal("led", (await leading).Flight);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Get_WithoutRedis_Is503AndTheChannelVariantGoesOn()
    {
        await using var gateway = await GatewayHost.StartAsync();

        using var refused = await gateway.Http.GetAsync(new Uri(Route(Variants.Distributed, "keys/a"), UriKind.Relative), TestStop);

        await ProblemAssert.IsAsync(refused, 503, "broker-unavailable");
        Assert.Equal("led", (await GetAsync(gateway, Variants.Channel, "keys/a")).Flight);
    }

    private static string Route(string variant, string path) => $"/api/single-flight/{variant}/{path}";

    private static async Task<(HttpStatusCode Status, string? Flight, JsonObject Body)> GetAsync(GatewayHost gateway, string variant, string path)
    {
        using var response = await gateway.Http.GetAsync(new Uri(Route(variant, path), UriKind.Relative), TestStop);
        return (response.StatusCode, response.Headers.TryGetValues("X-Flight", out var values) ? values.Single() : null, (await response.Content.ReadFromJsonAsync<JsonObject>(TestStop))!);
    }

    private static long Of(JsonObject stats, string name) => (long)stats[name]!;

    private static async Task<JsonObject> StatsAsync(GatewayHost gateway, string variant, Func<JsonObject, bool> condition)
    {
        JsonObject? last = null;
        await Eventually.TrueAsync(async () => condition(last = await gateway.GetAsync(Route(variant, "stats"))), s_limit, () => last?.ToJsonString() ?? "no answer");
        return last!;
    }

    private async Task<GatewayHost> StartAsync(string variant)
    {
        if (variant == Variants.Channel) return await GatewayHost.StartAsync();
        var redis = await (await shared.OfAsync(RedisKind.Garnet)).ConnectAsync();
        _connections.Add(redis);
        return await GatewayHost.StartAsync("gateway-here", services => services.AddSingleton<IConnectionMultiplexer>(redis), ("Patterns:SingleFlight:Redis:KeyTag", _tag), ("Patterns:SingleFlight:Redis:Lease", "00:00:30"));
    }
}
