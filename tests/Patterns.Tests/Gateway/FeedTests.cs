using System.Net;
using DistributedPatterns.Diagnostics;
using DistributedPatterns.Tests.Support;
using Microsoft.Extensions.DependencyInjection;
using StackExchange.Redis;

namespace DistributedPatterns.Tests.Gateway;

/// <summary>Runs of producer-consumer over HTTP, the same answers in both variants.</summary>
public sealed class FeedTests(SharedRedis shared)
{
    private const int HangLimit = 60_000;

    private static CancellationToken TestStop => TestContext.Current.CancellationToken;

    [Theory(Timeout = HangLimit)]
    [InlineData(Variants.Channel)]
    [InlineData(Variants.Distributed)]
    public async Task Run_OfRecords_IsProducedAndConsumed(string variant)
    {
        await using var gateway = await StartAsync(variant);

        using var started = await gateway.PostAsync($"/api/producer-consumer/{variant}/runs?count=500&rate=100000", null, null);
        Assert.Equal(HttpStatusCode.Accepted, started.StatusCode);
        var end = await gateway.GetAsync($"{started.Headers.Location}?wait=30s");

        Assert.Equal(("Done", 500, 500), ((string?)end["state"], (int)end["produced"]!, (int)end["consumed"]!));
        Assert.Equal(500, end["byCategory"]!.AsObject().Sum(category => (int)category.Value!));
        using var late = await gateway.Http.DeleteAsync(started.Headers.Location, TestStop);
        await ProblemAssert.IsAsync(late, 409, "run-ended", (string)end["id"]!);
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(Variants.Channel)]
    [InlineData(Variants.Distributed)]
    public async Task Delete_InMidRun_StopsProducing(string variant)
    {
        await using var gateway = await StartAsync(variant);
        using var started = await gateway.PostAsync($"/api/producer-consumer/{variant}/runs?count=10000&rate=50", null, null);

        using var cancelled = await gateway.Http.DeleteAsync(started.Headers.Location, TestStop);

        Assert.Equal(HttpStatusCode.Accepted, cancelled.StatusCode);
        Assert.Equal("Cancelled", (string?)(await gateway.GetAsync($"{started.Headers.Location}?wait=30s"))["state"]);
    }

    [Theory(Timeout = HangLimit)]
    [InlineData("POST", "runs?count=0", 400, "invalid-parameter", "1 to 10000")]
    [InlineData("POST", "runs?rate=0", 400, "invalid-parameter", "1 to 100000")]
    [InlineData("POST", "runs?speed=1", 400, "invalid-parameter", "count, rate")]
    [InlineData("GET", "runs/none", 404, "run-not-found", "'none'")]
    [InlineData("DELETE", "runs/none", 404, "run-not-found", "'none'")]
    public async Task Request_ThatIsNotAccepted_IsNamed(string method, string path, int status, string slug, string mention)
    {
        await using var gateway = await StartAsync(Variants.Channel);

        using var refused = await gateway.Http.SendAsync(new HttpRequestMessage(new HttpMethod(method), $"/api/producer-consumer/channel/{path}"), TestStop);

        await ProblemAssert.IsAsync(refused, status, slug, mention);
    }

    private async Task<GatewayHost> StartAsync(string variant)
    {
        var redis = variant == Variants.Distributed ? await (await shared.OfAsync(RedisKind.Garnet)).ConnectAsync() : null;
        return await GatewayHost.StartAsync("gateway-here", services =>
        {
            if (redis is not null) services.AddSingleton<IConnectionMultiplexer>(_ => redis).AddRedisFeedProducer().AddRedisFeedConsumer();
        }, ("Patterns:ProducerConsumer:feeds:KeyTag", SharedRedis.NewTag()), ("Patterns:ProducerConsumer:feed-records:KeyTag", SharedRedis.NewTag()));
    }
}
