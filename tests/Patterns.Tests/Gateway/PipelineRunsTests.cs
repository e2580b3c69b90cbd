using System.Net;
using System.Text.Json.Nodes;
using DistributedPatterns.Tests.Support;

namespace DistributedPatterns.Tests.Gateway;

public sealed class PipelineRunsTests
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(20);

    [Fact(Timeout = 60_000)]
    public async Task Post_OfNamedInput_StartsRunThatGivesTheKnownNumbers()
    {
        await using var gateway = await GatewayHost.StartAsync();

        using var started = await gateway.StartRunAsync("unicode", "unicode-data");

        Assert.Equal(HttpStatusCode.Accepted, started.StatusCode);
        Assert.StartsWith($"{GatewayHost.Runs}/gateway-here.", started.Headers.Location!.ToString(), StringComparison.Ordinal);
        var status = await gateway.EndOfAsync(started);
        Assert.Equal("Completed", (string?)status["state"]);
        Assert.Equal((34_924, 29), ((int)status["result"]!["records"]!, (int)status["result"]!["categories"]!));
    }

    [Fact(Timeout = 60_000)]
    public async Task Post_WithSameKeyAndBody_RepliesAsTheFirstTime()
    {
        await using var gateway = await GatewayHost.StartAsync();
        using var first = await gateway.StartRunAsync("echo", "10", "key-1");
        using var second = await gateway.StartRunAsync("echo", "10", "key-1");

        Assert.False(first.Headers.Contains("Idempotent-Replayed"));
        Assert.Equal("true", second.Headers.GetValues("Idempotent-Replayed").Single());
        Assert.Equal((first.StatusCode, first.Headers.Location), (second.StatusCode, second.Headers.Location));
        Assert.EndsWith("key-1", first.Headers.Location!.ToString(), StringComparison.Ordinal);
        Assert.Equal(await first.Content.ReadAsStringAsync(Token), await second.Content.ReadAsStringAsync(Token));
        Assert.Equal(1, (int)(await gateway.StatsAsync())["started"]!);
    }

    [Fact(Timeout = 60_000)]
    public async Task Post_WithSameKeyByManyAtOnce_StartsOneRun()
    {
        await using var gateway = await GatewayHost.StartAsync();

        var replies = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => gateway.StartRunAsync("gated", "x", "storm")));

        Assert.All(replies, reply => Assert.Equal(HttpStatusCode.Accepted, reply.StatusCode));
        Assert.Single(replies, reply => !reply.Headers.Contains("Idempotent-Replayed"));
        Assert.Equal(1, (int)(await gateway.StatsAsync())["started"]!);
    }

    [Theory(Timeout = 60_000)]
    [InlineData("echo", "11")]
    [InlineData("unicode", "unicode-data")]
    public async Task Post_WithSameKeyAndOtherBody_Is422(string pipeline, string input)
    {
        await using var gateway = await GatewayHost.StartAsync();
        using var first = await gateway.StartRunAsync("echo", "10", "key-1");
        using var second = await gateway.StartRunAsync(pipeline, input, "key-1");

        await ProblemAssert.IsAsync(second, 422, "idempotency-mismatch", "key-1", "'echo' over '10'");
        Assert.Equal(1, (int)(await gateway.StatsAsync())["started"]!);
    }

    [Fact(Timeout = 60_000)]
    public async Task Post_BeyondMaxRuns_Is503AndStartsAgainAfterwards()
    {
        await using var gateway = await GatewayHost.StartAsync(("Patterns:Pipeline:Channel:MaxRuns", "1"));
        using var first = await gateway.StartRunAsync("gated", "x");
        using var second = await gateway.StartRunAsync("gated", "x");

        var problem = await ProblemAssert.IsAsync(second, 503, "full", "1 of 1", "MaxRuns");
        Assert.Equal(("pipeline", "channel"), ((string?)problem["pattern"], (string?)problem["variant"]));
        gateway.Gate.SetResult();
        await gateway.EndOfAsync(first);
        using var third = await gateway.StartRunAsync("gated", "x");
        Assert.Equal(HttpStatusCode.Accepted, third.StatusCode);
    }

    [Theory(Timeout = 60_000)]
    [InlineData("", "Drained", 1)]
    [InlineData("?mode=drain", "Drained", 1)]
    [InlineData("?mode=ABORT", "Aborted", null)]
    public async Task Delete_OfOpenRun_EndsItAsAsked(string mode, string expected, int? counted)
    {
        await using var gateway = await GatewayHost.StartAsync();
        using var started = await gateway.StartRunAsync("gated", "x");
        await Eventually.TrueAsync(
            async () => (int)(await gateway.GetAsync(started.Headers.Location!.ToString()))["ledger"]!["done"]! == 1, s_limit, () => "the first item is not through");

        using var response = await gateway.Http.DeleteAsync(started.Headers.Location + mode, Token);

        Assert.Equal((HttpStatusCode.Accepted, started.Headers.Location), (response.StatusCode, response.Headers.Location));
        var status = await gateway.EndOfAsync(started);
        Assert.Equal((expected, counted), ((string?)status["state"], (int?)status["result"]?["count"]));
    }

    [Fact(Timeout = 60_000)]
    public async Task Delete_OfEndedRun_Is409()
    {
        await using var gateway = await GatewayHost.StartAsync();
        using var started = await gateway.StartRunAsync("echo", "10");
        await gateway.EndOfAsync(started);

        using var response = await gateway.Http.DeleteAsync(started.Headers.Location, Token);

        await ProblemAssert.IsAsync(response, 409, "run-ended", "Completed");
    }

    [Fact(Timeout = 60_000)]
    public async Task Get_OfOpenRun_ReturnsWhenTheWaitIsOver()
    {
        await using var gateway = await GatewayHost.StartAsync();
        using var started = await gateway.StartRunAsync("gated", "x");

        var status = await gateway.GetAsync($"{started.Headers.Location}?wait=50ms");

        Assert.Equal("Running", (string?)status["state"]);
    }

    [Fact(Timeout = 60_000)]
    public async Task Get_ByClientThatLeaves_Is499AndNoError()
    {
        await using var gateway = await GatewayHost.StartAsync();
        using var started = await gateway.StartRunAsync("gated", "x");
        Assert.Equal((GatewayHost.Runs, 202), (await gateway.Arrived.Reader.ReadAsync(Token), await gateway.Answered.Reader.ReadAsync(Token)));
        using var leave = new CancellationTokenSource();

        var waiting = gateway.Http.GetAsync($"{started.Headers.Location}?wait=60s", leave.Token);
        await gateway.Arrived.Reader.ReadAsync(Token);
        await leave.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
        Assert.Equal(499, await gateway.Answered.Reader.ReadAsync(Token));
        Assert.Empty(gateway.Log.Errors);
    }

    [Fact(Timeout = 60_000)]
    public async Task Get_OfFailedRun_SaysWhichStageFailedWhere()
    {
        var file = Path.GetTempFileName();
        await File.WriteAllTextAsync(file, "0041;A;Lu;0;L;;;;;N;;;;0061;\n\0\n", Token);
        await using var gateway = await GatewayHost.StartAsync(("Data:Files:broken", file));
        using var started = await gateway.StartRunAsync("unicode", "broken");

        var status = await gateway.EndOfAsync(started);

        Assert.Equal(("Failed", "read", 2), ((string?)status["state"], (string?)status["error"]!["stage"], (int)status["error"]!["number"]!));
        Assert.Contains("NUL", (string?)status["error"]!["message"], StringComparison.Ordinal);
        File.Delete(file);
    }

    [Fact(Timeout = 60_000)]
    public async Task Echo_OfItems_CountsThem()
    {
        await using var gateway = await GatewayHost.StartAsync();

        var echo = await gateway.GetAsync("/api/pipeline/channel/echo?n=5000");

        Assert.Equal((5_000, 5_000L * 5_001), ((int)echo["count"]!, (long)echo["checksum"]!));
        Assert.True((double)echo["elapsedMs"]! > 0);
        Assert.Equal(1_000, (int)(await gateway.GetAsync("/api/pipeline/channel/echo"))["count"]!);
    }

    [Fact(Timeout = 60_000)]
    public async Task Echo_BeyondItsTimeout_Is504AndAbortsTheRun()
    {
        await using var gateway = await GatewayHost.StartAsync();

        using var response = await gateway.Http.GetAsync("/api/pipeline/channel/echo?n=10000000&timeout=1ms", Token);

        await ProblemAssert.IsAsync(response, 504, "deadline-exceeded", "10000000", "timeout=");
        await Eventually.TrueAsync(async () => (int)(await gateway.StatsAsync())["aborted"]! == 1, s_limit, () => "the run is not aborted");
    }

    [Fact(Timeout = 60_000)]
    public async Task Stats_AfterRuns_AddUp()
    {
        await using var gateway = await GatewayHost.StartAsync();
        await gateway.GetAsync("/api/pipeline/channel/echo?n=100");
        using var aborted = await gateway.StartRunAsync("gated", "x");
        using var stopped = await gateway.Http.DeleteAsync($"{aborted.Headers.Location}?mode=abort", Token);
        using var open = await gateway.StartRunAsync("gated", "x");

        JsonObject stats = [];
        await Eventually.TrueAsync(
            async () => (int)(stats = await gateway.StatsAsync())["aborted"]! == 1 && (int)stats["completed"]! == 1, s_limit, () => stats.ToJsonString());

        Assert.Equal((1, 3, 0), ((int)stats["open"]!, (int)stats["started"]!, (int)stats["failed"]!));
        var ledger = stats["ledger"]!;
        Assert.Equal((int)ledger["read"]!, (int)ledger["done"]! + (int)ledger["dropped"]!);
        Assert.InRange((int)ledger["done"]!, 100, 101);
    }

    private static CancellationToken Token => TestContext.Current.CancellationToken;
}
