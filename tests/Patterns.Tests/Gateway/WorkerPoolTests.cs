using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using DistributedPatterns.Diagnostics;
using DistributedPatterns.Tests.Pipeline;
using DistributedPatterns.Tests.Support;
using DistributedPatterns.Tests.WorkerPool;
using Microsoft.Extensions.DependencyInjection;
using StackExchange.Redis;

namespace DistributedPatterns.Tests.Gateway;

/// <summary>The worker pool over HTTP: the same requests, the same answers in both variants.</summary>
public sealed class WorkerPoolTests(SharedRedis shared)
{
    private const int HangLimit = 60_000;

    // sha256sum and wc of services/Producer/inputs/UnicodeData.txt
    private const long Bytes = 1_913_704;
    private const long Lines = 34_924;

    private readonly Gate _gate = new();

    private static CancellationToken TestStop => TestContext.Current.CancellationToken;

    [Theory(Timeout = HangLimit)]
    [InlineData(Variants.Channel)]
    [InlineData(Variants.Distributed)]
    public async Task Post_OfAJob_IsAcceptedAndItsResultCanBeWaitedFor(string variant)
    {
        await using var gateway = await StartAsync(variant);

        using var accepted = await SubmitAsync(gateway, variant, """{"job":"text-count","input":{"input":"unicode-data"}}""");

        Assert.Equal(HttpStatusCode.Accepted, accepted.StatusCode);
        var status = await gateway.GetAsync($"{accepted.Headers.Location}?wait=30s");
        Assert.Equal(("Done", "text-count", 1), ((string?)status["state"], (string?)status["job"], (int)status["attempts"]!));
        Assert.Equal((Bytes, Lines), ((long)status["result"]!["bytes"]!, (long)status["result"]!["lines"]!));
        await AssertAddsUpAsync(gateway, variant);
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(Variants.Channel)]
    [InlineData(Variants.Distributed)]
    public async Task Post_OfPartsOfAFile_CountsWhatTheWholeHas(string variant)
    {
        await using var gateway = await StartAsync(variant);
        const int Parts = 7;
        var replies = await Task.WhenAll(Enumerable.Range(0, Parts).Select(part =>
        {
            var (from, to) = (Bytes * part / Parts, Bytes * (part + 1) / Parts);
            return SubmitAsync(gateway, variant, $$$"""{"job":"text-count","input":{"input":"unicode-data","offset":{{{from}}},"length":{{{to - from}}}}}""");
        }));
        using var whole = await SubmitAsync(gateway, variant, """{"job":"text-count","input":{"input":"unicode-data"}}""");

        var parts = await Task.WhenAll(replies.Select(reply => ResultAsync(gateway, reply)));
        var all = await ResultAsync(gateway, whole);

        Assert.Equal(
            ((long)all["lines"]!, (long)all["words"]!, (long)all["bytes"]!),
            (parts.Sum(part => (long)part["lines"]!), parts.Sum(part => (long)part["words"]!), parts.Sum(part => (long)part["bytes"]!)));
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(Variants.Channel)]
    [InlineData(Variants.Distributed)]
    public async Task Post_WithSameKey_RepliesAsTheFirstTimeAndRefusesAnotherBody(string variant)
    {
        await using var gateway = await StartAsync(variant);
        var key = $"key-{Guid.NewGuid():N}";

        var storm = await Task.WhenAll(Enumerable.Range(0, 5).Select(_ => SubmitAsync(gateway, variant, """{"job":"simulated","input":"none"}""", key)));
        using var other = await SubmitAsync(gateway, variant, """{"job":"simulated","input":"cpu:1us"}""", key);
        using var again = await gateway.PostAsync($"/api/worker-pool/{variant}/jobs?work=none", null, null, key);

        Assert.All([.. storm, again], reply => Assert.Equal((HttpStatusCode.Accepted, storm[0].Headers.Location), (reply.StatusCode, reply.Headers.Location)));
        Assert.Single(storm, reply => !reply.Headers.Contains("Idempotent-Replayed"));
        Assert.Equal("true", again.Headers.GetValues("Idempotent-Replayed").Single());
        await ProblemAssert.IsAsync(other, 422, "idempotency-mismatch", key);
        Assert.Equal(1, (int)(await StatsAsync(gateway, variant))["ledger"]!["submitted"]!);
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(Variants.Channel)]
    [InlineData(Variants.Distributed)]
    public async Task Post_BeyondTheCapacity_Is503AndCounted(string variant)
    {
        await using var gateway = await StartAsync(variant, ("Patterns:WorkerPool:Channel:Capacity", "1"), ("Patterns:WorkerPool:Redis:Capacity", "1"));
        using var first = await SubmitAsync(gateway, variant, """{"job":"square","input":3}""");

        using var second = await SubmitAsync(gateway, variant, """{"job":"square","input":4}""");

        await ProblemAssert.IsAsync(second, 503, "full", "1 of 1", "Capacity");
        var stats = await StatsAsync(gateway, variant);
        Assert.Equal((1, 1), ((int)stats["counters"]!["rejected"]!, (int)stats["ledger"]!["submitted"]!));
        _gate.Open();
        Assert.Equal(9, (int)(await gateway.GetAsync($"{first.Headers.Location}?wait=30s"))["result"]!);
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(Variants.Channel)]
    [InlineData(Variants.Distributed)]
    public async Task Delete_OfARunningJob_CancelsIt(string variant)
    {
        await using var gateway = await StartAsync(variant);
        using var accepted = await SubmitAsync(gateway, variant, """{"job":"square","input":3}""");
        await _gate.Reached;

        using var cancelled = await gateway.Http.DeleteAsync(accepted.Headers.Location, TestStop);
        var status = await gateway.GetAsync($"{accepted.Headers.Location}?wait=30s");
        using var done = await SubmitAsync(gateway, variant, """{"job":"simulated","input":"none"}""");
        await gateway.GetAsync($"{done.Headers.Location}?wait=30s");
        using var late = await gateway.Http.DeleteAsync(done.Headers.Location, TestStop);

        Assert.Equal((HttpStatusCode.Accepted, "Asked"), (cancelled.StatusCode, (string?)(await cancelled.Content.ReadFromJsonAsync<JsonObject>(TestStop))!["cancellation"]));
        Assert.Equal("Cancelled", (string?)status["state"]);
        await ProblemAssert.IsAsync(late, 409, "job-ended");
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(Variants.Channel)]
    [InlineData(Variants.Distributed)]
    public async Task GetAndDelete_OfAnUnknownJob_Are404(string variant)
    {
        await using var gateway = await StartAsync(variant);

        using var got = await gateway.Http.GetAsync($"/api/worker-pool/{variant}/jobs/nobody?wait=1s", TestStop);
        using var deleted = await gateway.Http.DeleteAsync($"/api/worker-pool/{variant}/jobs/nobody", TestStop);

        await ProblemAssert.IsAsync(got, 404, "job-not-found", "nobody");
        await ProblemAssert.IsAsync(deleted, 404, "job-not-found", "nobody");
    }

    [Fact(Timeout = HangLimit)]
    public async Task Get_OfAJobThatWasForgotten_Is410()
    {
        await using var gateway = await StartAsync(Variants.Channel, ("Patterns:WorkerPool:Channel:KeepEnded", "1"));
        using var first = await SubmitAsync(gateway, Variants.Channel, """{"job":"simulated","input":"none"}""");
        await gateway.GetAsync($"{first.Headers.Location}?wait=30s");
        using var second = await SubmitAsync(gateway, Variants.Channel, """{"job":"simulated","input":"none"}""");
        await gateway.GetAsync($"{second.Headers.Location}?wait=30s");

        using var got = await gateway.Http.GetAsync(first.Headers.Location, TestStop);

        await ProblemAssert.IsAsync(got, 410, "job-forgotten", "KeepEnded");
    }

    [Fact(Timeout = HangLimit)]
    public async Task Get_OfAJobOfAGatewayThatIsGone_SaysSo()
    {
        await using var gateway = await StartAsync(Variants.Channel);

        using var got = await gateway.Http.GetAsync("/api/worker-pool/channel/jobs/gateway-gone.12345678-1", TestStop);

        await ProblemAssert.IsAsync(got, 404, "elsewhere", "gateway-gone");
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(Variants.Channel)]
    [InlineData(Variants.Distributed)]
    public async Task PutSize_ChangesHowManyRun(string variant)
    {
        await using var gateway = await StartAsync(variant);

        using var changed = await gateway.Http.PutAsync($"/api/worker-pool/{variant}/size?n=3", null, TestStop);
        using var wrong = await gateway.Http.PutAsync($"/api/worker-pool/{variant}/size?n=0", null, TestStop);

        Assert.Equal(HttpStatusCode.OK, changed.StatusCode);
        await Eventually.TrueAsync(
            async () => (int?)(await gateway.GetAsync($"/api/worker-pool/{variant}/workers"))["workers"]!.AsArray().SingleOrDefault()?["size"] == 3,
            TimeSpan.FromSeconds(20), () => "the size does not change");
        await ProblemAssert.IsAsync(wrong, 400, "invalid-parameter", "1 to 1024");
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(Variants.Channel)]
    [InlineData(Variants.Distributed)]
    public async Task PostDrain_InDevelopment_RefusesJobsUntilItIsTakenBack(string variant)
    {
        await using var gateway = await StartAsync(variant, ("Environment", "Development"));
        using var accepted = await SubmitAsync(gateway, variant, """{"job":"simulated","input":"none"}""");

        using var drained = await gateway.Http.PostAsync($"/api/worker-pool/{variant}/drain?limit=20s", null, TestStop);
        using var refused = await SubmitAsync(gateway, variant, """{"job":"simulated","input":"none"}""");
        using var resumed = await gateway.Http.DeleteAsync($"/api/worker-pool/{variant}/drain", TestStop);
        using var again = await SubmitAsync(gateway, variant, """{"job":"simulated","input":"none"}""");

        Assert.Equal(HttpStatusCode.OK, drained.StatusCode);
        Assert.Equal(0, (int)(await drained.Content.ReadFromJsonAsync<JsonObject>(TestStop))!["handedBack"]!);
        await ProblemAssert.IsAsync(refused, 503, "draining");
        Assert.Equal((HttpStatusCode.NoContent, HttpStatusCode.Accepted), (resumed.StatusCode, again.StatusCode));
    }

    [Fact(Timeout = HangLimit)]
    public async Task PostDrain_OutsideOfDevelopment_IsNotThere()
    {
        await using var gateway = await StartAsync(Variants.Channel);

        using var refused = await gateway.Http.PostAsync("/api/worker-pool/channel/drain", null, TestStop);

        await ProblemAssert.IsAsync(refused, 404, "unknown-route");
    }

    [Theory(Timeout = HangLimit)]
    [InlineData("""{"job":"nope","input":1}""", "unknown-job", "sha256, text-count, simulated")]
    [InlineData("""{"input":1}""", "unknown-job", "'job'")]
    [InlineData("""{"job":"sha256"}""", "invalid-job-input", "'input'")]
    [InlineData("""{"job":"sha256","input":"x"}""", "invalid-job-input", "sha256")]
    [InlineData("""{"job":"sha256","input":{"input":"unicode-data","size":1}}""", "invalid-job-input", "size")]
    [InlineData("""{"job":""", "malformed-body", "'job'")]
    [InlineData("""{"job":"sha256","input":{},"more":1}""", "malformed-body", "more")]
    [InlineData("null", "malformed-body", "null")]
    public async Task Post_OfABadBody_IsAProblemThatNamesWhatIsAccepted(string body, string slug, string mention)
    {
        await using var gateway = await StartAsync(Variants.Channel);

        using var refused = await SubmitAsync(gateway, Variants.Channel, body);

        await ProblemAssert.IsAsync(refused, 400, slug, mention);
        Assert.Empty(gateway.Log.Errors);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Post_OfWhatIsNoRequest_IsAProblem()
    {
        await using var gateway = await StartAsync(Variants.Channel);
        const string Jobs = "/api/worker-pool/channel/jobs";

        using var work = await gateway.PostAsync($"{Jobs}?work=sleep:5s", null, null);
        using var empty = await gateway.PostAsync(Jobs, null, null);
        using var text = await gateway.PostAsync(Jobs, new StringContent("x"), "text/plain");
        using var large = await SubmitAsync(gateway, Variants.Channel, $$"""{"job":"simulated","input":"{{new string('x', 61 * 1024)}}"}""");
        using var key = await SubmitAsync(gateway, Variants.Channel, """{"job":"simulated","input":"none"}""", "not a key");
        using var refused = await SubmitAsync(gateway, Variants.Channel, """{"job":"sha256","input":{"input":"../../etc/passwd"}}""");
        var status = await gateway.GetAsync($"{refused.Headers.Location}?wait=30s");

        await ProblemAssert.IsAsync(work, 400, "invalid-parameter", "cpu:200us", "sleep:5s");
        await ProblemAssert.IsAsync(empty, 400, "empty-body", "work=");
        await ProblemAssert.IsAsync(text, 415, "unsupported-media-type", "application/json");
        await ProblemAssert.IsAsync(large, 413, "body-too-large", "61,440");
        await ProblemAssert.IsAsync(key, 400, "invalid-parameter", "Idempotency-Key");
        Assert.Equal(("Failed", "JobRefusedException"), ((string?)status["state"], (string?)status["error"]!["kind"]));
        Assert.Contains("unicode-data", (string?)status["error"]!["message"], StringComparison.Ordinal);
        Assert.Empty(gateway.Log.Errors);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Post_WithoutRedis_Is503InTheDistributedVariantOnly()
    {
        await using var gateway = await StartAsync(Variants.Channel);

        using var distributed = await SubmitAsync(gateway, Variants.Distributed, """{"job":"simulated","input":"none"}""");
        using var channel = await SubmitAsync(gateway, Variants.Channel, """{"job":"simulated","input":"none"}""");

        await ProblemAssert.IsAsync(distributed, 503, "broker-unavailable");
        Assert.Equal(HttpStatusCode.Accepted, channel.StatusCode);
    }

    /// <summary>Starts a gateway; for the distributed variant with Redis and with workers of its own.</summary>
    private async Task<GatewayHost> StartAsync(string variant, params (string, string)[] settings)
    {
        if (variant == Variants.Channel) return await GatewayHost.StartAsync("gateway-here", services => services.AddJob(_ => TestJobs.Gated(_gate)), settings);
        var redis = await (await shared.OfAsync(RedisKind.Garnet)).ConnectAsync();
        return await GatewayHost.StartAsync(
            "gateway-here",
            services => services.AddSingleton<IConnectionMultiplexer>(_ => redis).AddJob(_ => TestJobs.Gated(_gate)).AddRedisWorkers(options => options.ReportEvery = TimeSpan.FromMilliseconds(100)),
            [.. settings, ("Patterns:WorkerPool:Redis:KeyTag", SharedRedis.NewTag())]);
    }

    private static Task<HttpResponseMessage> SubmitAsync(GatewayHost gateway, string variant, string body, string? key = null) =>
        gateway.PostAsync($"/api/worker-pool/{variant}/jobs", new StringContent(body), "application/json", key);

    private static async Task<JsonNode> ResultAsync(GatewayHost gateway, HttpResponseMessage accepted)
    {
        var status = await gateway.GetAsync($"{accepted.Headers.Location}?wait=30s");
        Assert.True((string?)status["state"] == "Done", status.ToJsonString());
        return status["result"]!;
    }

    private static Task<JsonObject> StatsAsync(GatewayHost gateway, string variant) => gateway.GetAsync($"/api/worker-pool/{variant}/stats");

    private static async Task AssertAddsUpAsync(GatewayHost gateway, string variant)
    {
        var ledger = (await StatsAsync(gateway, variant))["ledger"]!;
        Assert.Equal(
            (long)ledger["submitted"]!, ((string[])["done", "failed", "cancelled", "dead", "queued", "running"]).Sum(name => (long)ledger[name]!));
    }
}
