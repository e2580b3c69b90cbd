using System.Net;
using System.Text.Json.Nodes;
using DistributedPatterns.Diagnostics;
using DistributedPatterns.Tests.ResourcePooling;
using DistributedPatterns.Tests.Support;
using Microsoft.Extensions.DependencyInjection;

namespace DistributedPatterns.Tests.Gateway;

/// <summary>Pooled connections over HTTP: the same requests, the same answers in both variants.</summary>
public sealed class ResourcePoolingTests(SharedRedis shared) : IAsyncDisposable
{
    private const int HangLimit = 60_000;
    private const string Token = "of-this-run";

    private static readonly TimeSpan s_soon = TimeSpan.FromSeconds(20);

    private readonly List<PooledWorkers> _workers = [];

    private static CancellationToken TestStop => TestContext.Current.CancellationToken;

    public async ValueTask DisposeAsync()
    {
        foreach (var workers in _workers) await workers.DisposeAsync();
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(Variants.Channel)]
    [InlineData(Variants.Distributed)]
    public async Task Get_UsesAConnectionAndCountsIt(string variant)
    {
        await using var gateway = await StartAsync(variant);

        var uses = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => gateway.GetAsync($"/api/resource-pooling/{variant}/?hold=30ms&timeout=20s")));

        // A timer may end early by a tick of the system's coarse clock, 10 ms at the most.
        Assert.All(uses, use => Assert.True((double)use["heldMs"]! >= 20 && (long)use["token"]! >= 0 && (int)use["permit"]! < 2, use.ToJsonString()));
        var stats = await UntilAsync(gateway, variant, processes => Sum(processes, "active") == 0);
        Assert.All(stats, process => Assert.Equal(20, (long)process!["uses"]!));
        Assert.Equal(20, stats.Sum(process => (long)process!["pool"]!["ledger"]!["acquired"]!));
        Assert.InRange(stats.Sum(process => (long)process!["pool"]!["ledger"]!["open"]!), 1, 2);
        if (variant == Variants.Distributed) Assert.Equal(2, (int)stats[0]!["pool"]!["permits"]!["limit"]!);
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(Variants.Channel)]
    [InlineData(Variants.Distributed)]
    public async Task Get_WithNothingFreeInTime_Is503WithCounts(string variant)
    {
        await using var gateway = await StartAsync(variant);
        using var enough = CancellationTokenSource.CreateLinkedTokenSource(TestStop);
        var holding = Enumerable.Range(0, 2).Select(_ => gateway.Http.GetAsync($"/api/resource-pooling/{variant}/?hold=30s&timeout=10s", enough.Token)).ToList();
        await UntilAsync(gateway, variant, processes => Sum(processes, "active") == 2);

        using var response = await GetAsync(gateway, variant, "hold=1ms&timeout=100ms");

        await ProblemAssert.IsAsync(response, 503, "pool-exhausted", "active", "waiting", variant == Variants.Distributed ? "2 of 2 permits" : "Capacity");
        await enough.CancelAsync();
        foreach (var held in holding) await Assert.ThrowsAnyAsync<OperationCanceledException>(() => held);
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(Variants.Channel)]
    [InlineData(Variants.Distributed)]
    public async Task Get_ThatHoldsForLongerThanItMay_Is504(string variant)
    {
        await using var gateway = await StartAsync(variant);
        await gateway.GetAsync($"/api/resource-pooling/{variant}/?timeout=20s");

        using var response = await GetAsync(gateway, variant, "hold=10s&timeout=1s");

        await ProblemAssert.IsAsync(response, 504, "deadline-exceeded", "00:00:10");
        await UntilAsync(gateway, variant, processes => Sum(processes, "active") == 0);
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(Variants.Channel)]
    [InlineData(Variants.Distributed)]
    public async Task Leak_InDevelopmentWithTheToken_IsReportedAndComesBack(string variant)
    {
        await using var gateway = await StartAsync(variant, ("Environment", "Development"), ("Chaos:Token", Token));

        using var response = await LeakAsync(gateway, variant, "?for=10s", Token);

        Assert.Equal(HttpStatusCode.Accepted, response.StatusCode);
        var stats = await UntilAsync(gateway, variant, processes => processes.Any(process => process!["pool"]!["leaks"]!.AsArray().Count == 1));
        Assert.Contains("LeakAsync", stats.ToJsonString(), StringComparison.Ordinal);
        await UntilAsync(gateway, variant, processes => Sum(processes, "active") == 0);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Leak_WithoutTheTokenOrOutsideDevelopment_IsRefused()
    {
        await using var gateway = await StartAsync(Variants.Channel, ("Environment", "Development"), ("Chaos:Token", Token));
        await using var off = await StartAsync(Variants.Channel, ("Environment", "Development"));
        await using var production = await StartAsync(Variants.Channel, ("Environment", "Production"), ("Chaos:Token", Token));

        using var without = await LeakAsync(gateway, Variants.Channel, "", null);
        using var wrong = await LeakAsync(gateway, Variants.Channel, "", "another");
        using var unset = await LeakAsync(off, Variants.Channel, "", Token);
        using var elsewhere = await LeakAsync(production, Variants.Channel, "", Token);

        await ProblemAssert.IsAsync(without, 403, "chaos-off", "X-Chaos-Token");
        await ProblemAssert.IsAsync(wrong, 403, "chaos-off");
        await ProblemAssert.IsAsync(unset, 403, "chaos-off", "--Chaos:Token");
        await ProblemAssert.IsAsync(elsewhere, 404, "unknown-route");
    }

    [Theory(Timeout = HangLimit)]
    [InlineData("hold=31s", "0s to 30s")]
    [InlineData("hold=5", "500ms")]
    [InlineData("hold=-1ms", "0s to 30s")]
    [InlineData("timeout=0ms", "1ms to 30s")]
    [InlineData("timeout=1h", "1ms to 30s")]
    [InlineData("time=1s", "hold, timeout")]
    [InlineData("hold=1s&hold=2s", "once")]
    public async Task Get_WithWhatIsNotAccepted_NamesWhatIs(string query, string accepted)
    {
        await using var gateway = await StartAsync(Variants.Channel);

        using var response = await GetAsync(gateway, Variants.Channel, query);

        await ProblemAssert.IsAsync(response, 400, "invalid-parameter", accepted);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Get_WithADatabaseThatCannotBeOpened_Is503AndTakesNoPlace()
    {
        await using var gateway = await StartAsync(Variants.Channel, ("ConnectionStrings:pool-database", "Host=127.0.0.1;Port=1;Username=nobody;Timeout=2"));

        for (var i = 0; i < 3; i++)
        {
            using var response = await GetAsync(gateway, Variants.Channel, "timeout=5s");
            await ProblemAssert.IsAsync(response, 503, "broker-unavailable", "database");
        }
    }

    private static Task<HttpResponseMessage> GetAsync(GatewayHost gateway, string variant, string query) =>
        gateway.Http.GetAsync(new Uri($"/api/resource-pooling/{variant}/?{query}", UriKind.Relative), TestStop);

    private static Task<HttpResponseMessage> LeakAsync(GatewayHost gateway, string variant, string query, string? token)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, $"/api/resource-pooling/{variant}/leak{query}");
        if (token is not null) request.Headers.Add("X-Chaos-Token", token);
        return gateway.Http.SendAsync(request, TestStop);
    }

    private static async Task<JsonArray> UntilAsync(GatewayHost gateway, string variant, Func<JsonArray, bool> condition)
    {
        JsonArray? last = null;
        await Eventually.TrueAsync(async () => condition(last = (await gateway.GetAsync($"/api/resource-pooling/{variant}/stats"))["processes"]!.AsArray()), s_soon, () => last?.ToJsonString() ?? "no answer");
        return last!;
    }

    private static long Sum(JsonArray processes, string field) => processes.Sum(process => (long)process!["pool"]!["counts"]![field]!);

    private async Task<GatewayHost> StartAsync(string variant, params (string, string)[] settings)
    {
        settings = [.. settings, ("Patterns:ResourcePooling:database:Capacity", "2"), ("Patterns:ResourcePooling:database:LeakLimit", "00:00:00.200")];
        if (variant == Variants.Channel) return await GatewayHost.StartAsync(settings);
        var workers = await PooledWorkers.StartAsync(await shared.OfAsync(RedisKind.Garnet), 2);
        _workers.Add(workers);
        return await GatewayHost.StartAsync("gateway-here", services => services.AddSingleton(workers.Members).AddSingleton(workers.Channels), settings);
    }
}
