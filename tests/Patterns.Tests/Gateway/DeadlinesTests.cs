using System.Text.Json.Nodes;
using DistributedPatterns.Deadlines;
using DistributedPatterns.Diagnostics;
using DistributedPatterns.Tests.Deadlines;
using DistributedPatterns.Tests.Support;
using Microsoft.Extensions.DependencyInjection;

namespace DistributedPatterns.Tests.Gateway;

/// <summary>Deadlines over HTTP: the same requests, the same answers in both variants.</summary>
public sealed class DeadlinesTests : IAsyncDisposable
{
    private const int HangLimit = 60_000;

    private static readonly TimeSpan s_soon = TimeSpan.FromSeconds(20);

    private readonly List<OperationsCluster> _clusters = [];

    private static CancellationToken TestStop => TestContext.Current.CancellationToken;

    public async ValueTask DisposeAsync()
    {
        foreach (var cluster in _clusters) await cluster.DisposeAsync();
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(Variants.Channel)]
    [InlineData(Variants.Distributed)]
    public async Task Get_WithinTheBudget_SaysWhatEachHopUsed(string variant)
    {
        await using var gateway = await StartAsync(variant);

        var reply = await gateway.GetAsync($"/api/deadlines/{variant}/?hops=3&work=io:20ms");

        var hops = reply["hops"]!.AsArray();
        Assert.Equal([1, 2, 3], hops.Select(hop => (int)hop!["hop"]!));
        Assert.Equal(10_000, (double)reply["budgetMs"]!);
        double[] budgets = [(double)reply["budgetMs"]!, .. hops.Select(hop => (double)hop!["budgetMs"]!)];
        Assert.Equal(budgets.OrderDescending(), budgets);
        // Timers may be some milliseconds early.
        Assert.All(hops, hop => Assert.True((double)hop!["workMs"]! >= 10, hop.ToJsonString()));
        Assert.True((double)hops[0]!["totalMs"]! >= 30, reply.ToJsonString());
        if (variant == Variants.Distributed) Assert.Equal(["producer", "worker", "reducer"], hops.Select(hop => ((string)hop!["process"]!).Split('-')[0]));
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(Variants.Channel)]
    [InlineData(Variants.Distributed)]
    public async Task Get_BeyondTheBudget_Is504AndTheHopsHaveEnded(string variant)
    {
        await using var gateway = await StartAsync(variant);

        await gateway.GetAsync($"/api/deadlines/{variant}/"); // connected by now
        using var response = await GetAsync(gateway, $"/api/deadlines/{variant}/?hops=3&work=io:30s", "3000");

        await ProblemAssert.IsAsync(response, 504, "deadline-exceeded", "00:00:03");
        await StatsAsync(gateway, variant, processes => Sum(processes, "running") == 0 && Sum(processes, "deadline") == 1);
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(Variants.Channel)]
    [InlineData(Variants.Distributed)]
    public async Task Get_WhoseClientLeaves_Is499AndEndsAtTheLastHop(string variant)
    {
        await using var gateway = await StartAsync(variant);
        using var client = new CancellationTokenSource();

        using var request = new HttpRequestMessage(HttpMethod.Get, $"/api/deadlines/{variant}/?hops=3&last=io:50s");
        request.Headers.Add("Request-Timeout-Ms", "60000");
        var leaving = gateway.Http.SendAsync(request, client.Token);
        await StatsAsync(gateway, variant, processes => Sum(processes, "running") == 3);
        await client.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => leaving);
        await StatsAsync(gateway, variant, processes => Sum(processes, "running") == 0 && Sum(processes, "caller") == 3);
        await foreach (var status in gateway.Answered.Reader.ReadAllAsync(TestStop))
        {
            if (status == 499) break;
        }
        Assert.Empty(gateway.Log.Errors);
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(Variants.Channel)]
    [InlineData(Variants.Distributed)]
    public async Task Get_WithAHopThatIsAwayOnce_TriesAgainInsideTheBudgetIfItMay(string variant)
    {
        await using var gateway = await StartAsync(variant);

        var reply = await gateway.GetAsync($"/api/deadlines/{variant}/?unavailable=3&attempts=2");
        using var refused = await GetAsync(gateway, $"/api/deadlines/{variant}/?unavailable=3");

        Assert.All(reply["hops"]!.AsArray(), hop => Assert.Equal(2, (int)hop!["attempt"]!));
        await ProblemAssert.IsAsync(refused, 503, "operation-unavailable");
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(Variants.Channel)]
    [InlineData(Variants.Distributed)]
    public async Task Get_WithAHopThatIsDeaf_Is504AllTheSame(string variant)
    {
        await using var gateway = await StartAsync(variant);

        using var response = await GetAsync(gateway, $"/api/deadlines/{variant}/?hops=2&deaf=2&work=io:2s", "100");

        await ProblemAssert.IsAsync(response, 504, "deadline-exceeded");
    }

    [Theory(Timeout = HangLimit)]
    [InlineData("hops=4", null, "1 to 3")]
    [InlineData("hops=0", null, "1 to 3")]
    [InlineData("work=sleep", null, "io:5ms")]
    [InlineData("attempts=11", null, "1 to 10")]
    [InlineData("hops=2&deaf=3", null, "1 to 2")]
    [InlineData("hop=1", null, "unavailable")]
    [InlineData("", "0", "1 to 60000")]
    [InlineData("", "60001", "1 to 60000")]
    [InlineData("", "1.5", "1 to 60000")]
    public async Task Get_WithWhatIsNotAccepted_NamesWhatIs(string query, string? timeout, string accepted)
    {
        await using var gateway = await StartAsync(Variants.Channel);

        using var response = await GetAsync(gateway, $"/api/deadlines/channel/?{query}", timeout);

        await ProblemAssert.IsAsync(response, 400, "invalid-parameter", accepted);
    }

    private static Task<HttpResponseMessage> GetAsync(GatewayHost gateway, string path, string? timeout = null)
    {
        var request = new HttpRequestMessage(HttpMethod.Get, path);
        if (timeout is not null) request.Headers.Add("Request-Timeout-Ms", timeout);
        return gateway.Http.SendAsync(request, TestStop);
    }

    private static Task StatsAsync(GatewayHost gateway, string variant, Func<JsonArray, bool> condition)
    {
        JsonObject? last = null;
        return Eventually.TrueAsync(async () =>
        {
            last = await gateway.GetAsync($"/api/deadlines/{variant}/stats");
            return condition(last["processes"]!.AsArray());
        }, s_soon, () => last?.ToJsonString() ?? "no answer");
    }

    private static long Sum(JsonArray processes, string field) => processes.Sum(process => (long)process![field]!);

    private async Task<GatewayHost> StartAsync(string variant)
    {
        if (variant == Variants.Channel) return await GatewayHost.StartAsync();
        var cluster = await OperationsCluster.StartAsync([.. HopOperations.Create(TimeProvider.System)], "producer", "worker", "reducer");
        _clusters.Add(cluster);
        return await GatewayHost.StartAsync("gateway-here", services => services.AddSingleton(cluster.Members).AddSingleton(cluster.Channels));
    }
}
