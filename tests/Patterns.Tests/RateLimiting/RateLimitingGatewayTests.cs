using System.Globalization;
using System.Net;
using System.Text.Json.Nodes;
using DistributedPatterns.RateLimiting;
using DistributedPatterns.Tests.Gateway;
using DistributedPatterns.Tests.Support;
using Microsoft.Extensions.DependencyInjection;
using StackExchange.Redis;

namespace DistributedPatterns.Tests.RateLimiting;

/// <summary>Rate limiting over HTTP, in both variants.</summary>
public sealed class RateLimitingGatewayTests(SharedRedis shared)
{
    private const int HangLimit = 90_000;
    private const string Channel = "channel";
    private const string Distributed = "distributed";

    // Two at once, the next in a minute: nothing is earned while a test runs.
    private static readonly (string, string)[] s_slow =
        [("Patterns:RateLimiting:Permits", "1"), ("Patterns:RateLimiting:Period", "00:01:00"), ("Patterns:RateLimiting:Burst", "2"), ("Patterns:RateLimiting:Concurrent", "1")];

    private static CancellationToken TestStop => TestContext.Current.CancellationToken;

    public static TheoryData<string, string> Algorithms => new()
    {
        { Channel, "gcra" }, { Channel, "token-bucket" }, { Channel, "window-counter" }, { Channel, "window-log" }, { Channel, "pacer" },
        { Distributed, "gcra" }, { Distributed, "window-counter" }, { Distributed, "window-log" }, { Distributed, "pacer" },
    };

    [Theory(Timeout = HangLimit)]
    [MemberData(nameof(Algorithms))]
    public async Task Get_UntilTheLimit_Is200ThenA429ThatSaysWhenToComeBack(string variant, string algorithm)
    {
        await using var gateway = await StartAsync(RedisKind.Garnet, s_slow);
        var burst = algorithm is "gcra" or "token-bucket" ? 2 : 1;
        for (var i = 0; i < burst; i++)
        {
            using var admitted = await GetAsync(gateway, variant, $"algorithm={algorithm}&key=a");
            var reply = await JsonOf(admitted, HttpStatusCode.OK);
            Assert.Equal((algorithm, "a", 1, "exact", burst - 1 - i), ((string?)reply["algorithm"], (string?)reply["key"], (int?)reply["cost"], (string?)reply["state"], (int?)reply["remaining"]));
            Assert.Equal($"\"{algorithm}\";q=1;w=60", admitted.Headers.GetValues("RateLimit-Policy").Single());
            Assert.StartsWith($"\"{algorithm}\";r={burst - 1 - i}", admitted.Headers.GetValues("RateLimit").Single(), StringComparison.Ordinal);
        }

        using var denied = await GetAsync(gateway, variant, $"algorithm={algorithm}&key=a");
        var problem = await ProblemAssert.IsAsync(denied, 429, "rate-limited", "'a'", "1 in 60000 ms");
        var ms = (long)problem["retryAfterMs"]!;
        Assert.InRange(ms, 1, 120_000); // the window counter fades over two windows
        Assert.Equal(Math.Ceiling(ms / 1000.0), denied.Headers.RetryAfter!.Delta!.Value.TotalSeconds);
        Assert.Equal($"\"{algorithm}\";r=0;t={denied.Headers.RetryAfter.Delta.Value.TotalSeconds}", denied.Headers.GetValues("RateLimit").Single());

        using var other = await GetAsync(gateway, variant, $"algorithm={algorithm}&key=b");
        Assert.Equal(HttpStatusCode.OK, other.StatusCode);
        using var never = await GetAsync(gateway, variant, $"algorithm={algorithm}&key=a&cost=3");
        await ProblemAssert.IsAsync(never, 422, "cost-exceeds-burst", "3", $"at most {burst}");
        var stats = await StatsOf(gateway, variant, algorithm);
        Assert.Equal((burst + 3, burst + 1, 1, 1), ((int)stats["requests"]!, (int)stats["admitted"]!, (int)stats["denied"]!, (int)stats["never"]!));
        Assert.Empty(gateway.Log.Errors);
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(Channel)]
    [InlineData(Distributed)]
    public async Task Get_Concurrency_HoldsItsPermitWhileItWorks(string variant)
    {
        await using var gateway = await StartAsync(RedisKind.Garnet, s_slow);
        using var leave = new CancellationTokenSource();
        var working = gateway.Http.GetAsync($"/api/rate-limiting/{variant}?algorithm=concurrency&key=a&work=io:30s", leave.Token);
        await Eventually.TrueAsync(async () => (int)(await StatsOf(gateway, variant, "concurrency"))["admitted"]! == 1, TimeSpan.FromSeconds(20), () => "not admitted");

        using var denied = await GetAsync(gateway, variant, "algorithm=concurrency&key=a");
        await ProblemAssert.IsAsync(denied, 429, "rate-limited", "1 at the same time");
        var waiting = GetAsync(gateway, variant, "algorithm=concurrency&key=a&wait=30s&work=io:10ms");
        await leave.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => working);
        using var waited = await waiting;
        Assert.True((double)(await JsonOf(waited, HttpStatusCode.OK))["waitedMs"]! > 0);
        using var last = await GetAsync(gateway, variant, "algorithm=concurrency&key=a&wait=30s"); // what has done its work gives its permit back too
        Assert.Equal(HttpStatusCode.OK, last.StatusCode);
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(Channel)]
    [InlineData(Distributed)]
    public async Task Get_WithWait_IsAdmittedWhenItsTurnComesOrSaysWhatIsLeft(string variant)
    {
        await using var gateway = await StartAsync(RedisKind.Garnet,
            [("Patterns:RateLimiting:Permits", "1"), ("Patterns:RateLimiting:Period", "00:00:10"), ("Patterns:RateLimiting:Burst", "1")]);
        using var first = await GetAsync(gateway, variant, "key=a");

        using var waited = await GetAsync(gateway, variant, "key=a&wait=30s");
        Assert.InRange((double)(await JsonOf(waited, HttpStatusCode.OK))["waitedMs"]!, 1, 30_000);
        using var inVain = await GetAsync(gateway, variant, "key=a&wait=100ms");

        var problem = await ProblemAssert.IsAsync(inVain, 429, "rate-limited");
        Assert.InRange((long)problem["retryAfterMs"]!, 1, 10_000);
        var stats = await StatsOf(gateway, variant, "gcra");
        Assert.Equal((3, 2, 1), ((int)stats["requests"]!, (int)stats["admitted"]!, (int)stats["cancelled"]!));
    }

    [Theory(Timeout = HangLimit)]
    [InlineData("algorithm=fastest", "algorithm", "window-counter")]
    [InlineData("cost=0", "cost", "1 to 1000000")]
    [InlineData("cost=x", "cost", "'x'")]
    [InlineData("wait=2h", "wait", "0s to 60s")]
    [InlineData("work=sleep", "work", "io:<time>")]
    [InlineData("key=", "key", "1 to 200")]
    [InlineData("color=red", "color", "algorithm")]
    public async Task Get_OfWhatIsNotAccepted_NamesItAndWhatIs(string query, params string[] mentions)
    {
        await using var gateway = await GatewayHost.StartAsync();

        using var refused = await GetAsync(gateway, Channel, query);

        await ProblemAssert.IsAsync(refused, 400, "invalid-parameter", mentions);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Get_TokenBucketAcrossProcesses_SaysThatItIsGcraThere()
    {
        await using var gateway = await StartAsync(RedisKind.Garnet, s_slow);

        using var refused = await GetAsync(gateway, Distributed, "algorithm=token-bucket");

        await ProblemAssert.IsAsync(refused, 400, "invalid-parameter", "token-bucket", "gcra, window-counter, window-log, concurrency, pacer");
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(RedisKind.Garnet)]
    [InlineData(RedisKind.Redis)]
    public async Task Get_OverTwoGateways_AdmitsOneLimitByTheServersClock(RedisKind kind)
    {
        const int Permits = 200, Burst = 40;
        (string, string)[] settings =
        [
            ("Patterns:RateLimiting:Permits", $"{Permits}"), ("Patterns:RateLimiting:Period", "00:00:01"), ("Patterns:RateLimiting:Burst", $"{Burst}"),
            ("Patterns:RateLimiting:Redis:KeyPrefix", SharedRedis.NewTag()), ("Patterns:RateLimiting:Redis:WhenDown", "Closed"),
        ];
        await using var one = await StartAsync(kind, settings);
        await using var two = await StartAsync(kind, settings);
        await using var redis = await (await shared.OfAsync(kind)).ConnectAsync();
        using var warm = await GetAsync(one, Distributed, "key=warm");
        using var warmToo = await GetAsync(two, Distributed, "key=warm");

        var begun = await RedisRateLimiterTests.ServerTimeAsync(redis);
        var replies = await Task.WhenAll(Enumerable.Range(0, 8).Select(async worker =>
        {
            var statuses = new List<HttpStatusCode>();
            for (var i = 0; i < 100; i++)
            {
                using var reply = await GetAsync(worker % 2 == 0 ? one : two, Distributed, "key=shared");
                statuses.Add(reply.StatusCode);
            }
            return statuses;
        }));
        var elapsed = await RedisRateLimiterTests.ServerTimeAsync(redis) - begun;

        var admitted = replies.Sum(statuses => statuses.Count(status => status == HttpStatusCode.OK));
        Assert.InRange(admitted, Burst, Burst + (Permits * elapsed.TotalSeconds));
        Assert.Equal(800 - admitted, replies.Sum(statuses => statuses.Count(status => status == HttpStatusCode.TooManyRequests)));
        Assert.Equal(admitted + 2, (int)(await StatsOf(one, Distributed, "gcra"))["admitted"]! + (int)(await StatsOf(two, Distributed, "gcra"))["admitted"]!);
    }

    [Theory(Timeout = HangLimit)]
    [InlineData("Closed", HttpStatusCode.ServiceUnavailable)]
    [InlineData("Open", HttpStatusCode.OK)]
    public async Task Get_RedisFrozen_FollowsThePolicyAndShowsIt(string policy, HttpStatusCode expected)
    {
        await using var server = await RedisOutageTests.StartWarmAsync();
        await using var gateway = await StartAsync(server, [.. s_slow, ("Patterns:RateLimiting:Redis:WhenDown", policy),
            ("Patterns:RateLimiting:Redis:AnswerLimit", "00:00:05"), ("Patterns:RateLimiting:Redis:ProbeEvery", "00:00:00.2")]);
        using var before = await GetAsync(gateway, Distributed, "key=a");
        Assert.Equal(HttpStatusCode.OK, before.StatusCode);

        await server.PauseAsync();
        for (var i = 0; i < 10; i++)
        {
            using var reply = await GetAsync(gateway, Distributed, "key=a");
            Assert.Equal(expected, reply.StatusCode);
            if (expected == HttpStatusCode.ServiceUnavailable) await ProblemAssert.IsAsync(reply, 503, "broker-unavailable", "Redis");
            else Assert.Equal("degraded", (string?)(await JsonOf(reply, expected))["state"]);
        }
        var stats = await gateway.GetAsync("/api/rate-limiting/distributed/stats");
        Assert.Equal(("degraded", 1, policy), ((string?)stats["state"], (int?)stats["outages"], (string?)stats["limit"]!["whenDown"]));
        Assert.Equal(10, (int)(await StatsOf(gateway, Distributed, "gcra"))["degraded"]!);

        await server.ResumeAsync();
        await Eventually.TrueAsync(async () => (string?)(await gateway.GetAsync("/api/rate-limiting/distributed/stats"))["state"] == "exact", TimeSpan.FromSeconds(30), () => "still degraded");
        Assert.Empty(gateway.Log.Errors);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Get_ClientLeavesWhileItWaits_GivesItsPlaceBack()
    {
        await using var gateway = await StartAsync(RedisKind.Garnet, s_slow);
        using var first = await GetAsync(gateway, Channel, "algorithm=pacer&key=a");
        using var leave = new CancellationTokenSource();
        var waiting = gateway.Http.GetAsync("/api/rate-limiting/channel?algorithm=pacer&key=a&wait=60s", leave.Token);
        var limiters = gateway.Services.GetRequiredKeyedService<IRateLimiting>(Channel);
        await leave.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);

        await Eventually.TrueAsync(
            () => limiters.GetLedgers()[RateLimitAlgorithm.Pacer] is { Cancelled: 1 } or { Requests: 1 }, TimeSpan.FromSeconds(20), () => $"{limiters.GetLedgers()[RateLimitAlgorithm.Pacer]}");
        Assert.Empty(gateway.Log.Errors);
    }

    [Fact(Timeout = HangLimit)]
    public async Task AnyEndpoint_BeyondTheEdgesLimit_IsA429WithOurRetryAfter()
    {
        await using var gateway = await GatewayHost.StartAsync(("Gateway:EdgeLimit:RequestsPerSecond", "1"), ("Gateway:EdgeLimit:Burst", "3"));
        var statuses = new List<HttpStatusCode>();
        HttpResponseMessage? denied = null;
        for (var i = 0; i < 30 && denied is null; i++)
        {
            var reply = await gateway.Http.GetAsync("/api/patterns", TestStop);
            statuses.Add(reply.StatusCode);
            if (reply.StatusCode == HttpStatusCode.TooManyRequests) denied = reply;
        }

        Assert.True(statuses.Count >= 4 && denied is not null);
        var problem = await ProblemAssert.IsAsync(denied, 429, "rate-limited", "address");
        Assert.InRange((long)problem["retryAfterMs"]!, 0, 1_000); // counted when it is told, and the period may be over by then
        Assert.Equal(1, denied.Headers.RetryAfter!.Delta!.Value.TotalSeconds);
        using var page = await gateway.Http.GetAsync("/problems/rate-limited", TestStop);
        Assert.Equal(HttpStatusCode.OK, page.StatusCode); // what explains it is not limited
    }

    private async Task<GatewayHost> StartAsync(RedisKind kind, (string, string)[] settings)
    {
        (string, string)[] all = [.. settings, ("Patterns:RateLimiting:Redis:AnswerLimit", "00:00:20")];
        return await StartAsync(await shared.OfAsync(kind),
            settings.Any(one => one.Item1.EndsWith("KeyPrefix", StringComparison.Ordinal)) ? all : [.. all, ("Patterns:RateLimiting:Redis:KeyPrefix", SharedRedis.NewTag())]);
    }

    private static async Task<GatewayHost> StartAsync(RedisBackend server, (string, string)[] settings)
    {
        var redis = await server.ConnectAsync();
        return await GatewayHost.StartAsync("gateway-here", services => services.AddSingleton<IConnectionMultiplexer>(_ => redis), settings);
    }

    private static Task<HttpResponseMessage> GetAsync(GatewayHost gateway, string variant, string query) =>
        gateway.Http.GetAsync($"/api/rate-limiting/{variant}?{query}", TestStop);

    private static async Task<JsonObject> JsonOf(HttpResponseMessage reply, HttpStatusCode expected)
    {
        var text = await reply.Content.ReadAsStringAsync(TestStop);
        Assert.True(reply.StatusCode == expected, $"{reply.StatusCode}: {text}");
        return JsonNode.Parse(text)!.AsObject();
    }

    private static async Task<JsonNode> StatsOf(GatewayHost gateway, string variant, string algorithm) =>
        (await gateway.GetAsync(string.Create(CultureInfo.InvariantCulture, $"/api/rate-limiting/{variant}/stats")))["algorithms"]!
            .AsArray().Single(one => (string?)one!["algorithm"] == algorithm)!;
}
