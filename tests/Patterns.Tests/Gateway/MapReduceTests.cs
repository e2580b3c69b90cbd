using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json.Nodes;
using DistributedPatterns.Diagnostics;
using DistributedPatterns.Tests.MapReduce;
using DistributedPatterns.Tests.Support;
using Microsoft.Extensions.DependencyInjection;
using StackExchange.Redis;

namespace DistributedPatterns.Tests.Gateway;

/// <summary>Map-reduce over HTTP, the same answers in both variants.</summary>
public sealed class MapReduceTests(SharedRedis shared)
{
    private const int HangLimit = 120_000;

    private static CancellationToken TestStop => TestContext.Current.CancellationToken;

    [Theory(Timeout = HangLimit)]
    [InlineData(Variants.Channel)]
    [InlineData(Variants.Distributed)]
    public async Task Job_OverASample_IsDoneAndRead(string variant)
    {
        await using var gateway = await StartAsync(variant);

        using var started = await gateway.PostAsync($"/api/map-reduce/{variant}/jobs", Job("word-count", "us-constitution.txt"), "application/json");
        Assert.Equal(HttpStatusCode.Accepted, started.StatusCode);
        var end = await gateway.GetAsync($"{started.Headers.Location}?wait=60s");
        var top = await gateway.GetAsync($"{started.Headers.Location}/result?top=5");
        using var text = await gateway.Http.GetAsync($"{started.Headers.Location}/result", TestStop);

        Assert.Equal(("Completed", 7_573), ((string?)end["state"], (int)end["report"]!["emitted"]!));
        Assert.Equal("the 722, of 489, shall 306, and 261, to 202", string.Join(", ", top["top"]!.AsArray().Select(entry => $"{entry!["key"]} {entry["value"]}")));
        Assert.Equal("text/plain; charset=utf-8", text.Content.Headers.ContentType?.ToString());
        Assert.Equal(Plainly.WordCount(Plainly.Constitution), await text.Content.ReadAsStringAsync(TestStop));
        using var late = await gateway.Http.DeleteAsync(started.Headers.Location, TestStop);
        await ProblemAssert.IsAsync(late, 409, "job-ended", (string)end["id"]!);
        await Eventually.TrueAsync(
            async () => await gateway.GetAsync($"/api/map-reduce/{variant}/stats") is var stats && ((int)stats["started"]!, (int)stats["completed"]!) == (1, 1),
            TimeSpan.FromSeconds(30), () => "the counts do not add up");
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(Variants.Channel)]
    [InlineData(Variants.Distributed)]
    public async Task Input_ThatWasPut_IsReadReplacedAndDeleted(string variant)
    {
        await using var gateway = await StartAsync(variant);
        var inputs = $"/api/map-reduce/{variant}/inputs";

        using var created = await PutAsync(gateway, $"{inputs}/mine.txt", "one two two");
        using var replaced = await PutAsync(gateway, $"{inputs}/mine.txt", "one two two three three three");
        Assert.Equal((HttpStatusCode.Created, HttpStatusCode.Created), (created.StatusCode, replaced.StatusCode));
        Assert.Equal("mine.txt 29", (await gateway.GetAsync(inputs))["inputs"]!.AsArray().Select(input => $"{input!["name"]} {input["bytes"]}").Single());
        using var started = await gateway.PostAsync($"/api/map-reduce/{variant}/jobs", Job("word-count", "mine.txt"), "application/json");
        await gateway.GetAsync($"{started.Headers.Location}?wait=60s");

        Assert.Equal("one\t1\nthree\t3\ntwo\t2\n", await gateway.Http.GetStringAsync($"{started.Headers.Location}/result", TestStop));
        Assert.Empty(gateway.UploadedFiles);
        using var deleted = await gateway.Http.DeleteAsync($"{inputs}/mine.txt", TestStop);
        Assert.Equal(HttpStatusCode.NoContent, deleted.StatusCode);
        using var again = await gateway.PostAsync($"/api/map-reduce/{variant}/jobs", Job("word-count", "mine.txt"), "application/json");
        await ProblemAssert.IsAsync(again, 422, "unknown-input", "'mine.txt'");
    }

    [Fact(Timeout = HangLimit)]
    public async Task Input_ThatIsNotAccepted_IsNamedAndLeavesNothing()
    {
        await using var gateway = await StartAsync(Variants.Channel, ("Gateway:MaxInputBytes", "2048"), ("Gateway:MaxInputsBytes", "3000"));
        const string Inputs = "/api/map-reduce/channel/inputs";

        using var large = await PutAsync(gateway, $"{Inputs}/large.txt", new string('x', 2_049));
        await ProblemAssert.IsAsync(large, 413, "body-too-large", "2,048 bytes", "Gateway:MaxInputBytes");
        using var binary = await PutAsync(gateway, $"{Inputs}/binary", "a\0b");
        await ProblemAssert.IsAsync(binary, 415, "not-text", "NUL");
        using var sample = await PutAsync(gateway, $"{Inputs}/UnicodeData.txt", "mine");
        await ProblemAssert.IsAsync(sample, 400, "invalid-parameter", "UnicodeData.txt");
        using var path = await PutAsync(gateway, $"{Inputs}/..%2F..%2Fsecret.txt", "mine");
        await ProblemAssert.IsAsync(path, 400, "invalid-parameter", "no name");
        using var empty = await PutAsync(gateway, $"{Inputs}/empty.txt", "");
        await ProblemAssert.IsAsync(empty, 400, "empty-body");
        using var first = await PutAsync(gateway, $"{Inputs}/first.txt", new string('x', 2_000));
        using var second = await PutAsync(gateway, $"{Inputs}/second.txt", new string('x', 2_000));
        await ProblemAssert.IsAsync(second, 503, "full", "Gateway:MaxInputsBytes");
        using var nothing = await gateway.Http.DeleteAsync($"{Inputs}/second.txt", TestStop);
        await ProblemAssert.IsAsync(nothing, 422, "unknown-input", "second.txt");

        Assert.Equal(HttpStatusCode.Created, first.StatusCode);
        Assert.Equal(2_000, (int)(await gateway.GetAsync(Inputs))["bytes"]!);
        Assert.Empty(gateway.UploadedFiles);
    }

    [Theory(Timeout = HangLimit)]
    [InlineData("""{"job":"nothing","input":"UnicodeData.txt"}""", 400, "unknown-job", "word-count")]
    [InlineData("""{"job":"word-count"}""", 422, "unknown-input", "'input' is missing")]
    [InlineData("""{"job":"word-count","input":"../secret"}""", 422, "unknown-input", "../secret")]
    [InlineData("""{"job":"word-count","input":"UnicodeData.txt","reducers":65}""", 400, "invalid-parameter", "from 1 to 64")]
    [InlineData("""{"job":"word-count","input":"UnicodeData.txt","combiner":"maybe"}""", 400, "invalid-parameter", "on or off")]
    [InlineData("""{"job":"field-count","input":"UnicodeData.txt","parameters":{"feild":"3"}}""", 400, "invalid-parameter", "field, delimiter")]
    [InlineData("""{"job":"word-count","input":"UnicodeData.txt","speed":1}""", 400, "malformed-body", "$.speed")]
    public async Task Job_ThatIsNotAccepted_IsNamed(string body, int status, string slug, string mention)
    {
        await using var gateway = await StartAsync(Variants.Channel);

        using var refused = await gateway.PostAsync("/api/map-reduce/channel/jobs", new StringContent(body), "application/json");

        await ProblemAssert.IsAsync(refused, status, slug, mention);
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(Variants.Channel)]
    [InlineData(Variants.Distributed)]
    public async Task Job_WithAnIdempotencyKey_IsStartedOnce(string variant)
    {
        await using var gateway = await StartAsync(variant);
        var jobs = $"/api/map-reduce/{variant}/jobs";

        using var first = await gateway.PostAsync(jobs, Job("word-count", "us-constitution"), "application/json", "my-key");
        using var again = await gateway.PostAsync(jobs, Job("word-count", "us-constitution"), "application/json", "my-key");
        using var other = await gateway.PostAsync(jobs, Job("word-count", "unicode-data"), "application/json", "my-key");

        Assert.Equal(first.Headers.Location, again.Headers.Location);
        Assert.True(again.Headers.Contains("Idempotent-Replayed"));
        await ProblemAssert.IsAsync(other, 422, "idempotency-mismatch", "my-key");
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(Variants.Channel)]
    [InlineData(Variants.Distributed)]
    public async Task Job_ThatFailed_SaysWhyAndHasNoResult(string variant)
    {
        await using var gateway = await StartAsync(variant);

        using var started = await gateway.PostAsync($"/api/map-reduce/{variant}/jobs", Job("field-count", "us-constitution.txt"), "application/json");
        var end = await gateway.GetAsync($"{started.Headers.Location}?wait=60s");
        using var result = await gateway.Http.GetAsync($"{started.Headers.Location}/result", TestStop);

        Assert.Equal("Failed", (string?)end["state"]);
        Assert.Contains("onBadRecord=skip", (string?)end["error"], StringComparison.Ordinal);
        await ProblemAssert.IsAsync(result, 409, "no-result", "failed", "onBadRecord=skip");
        using var unknown = await gateway.Http.GetAsync($"/api/map-reduce/{variant}/jobs/none/result", TestStop);
        await ProblemAssert.IsAsync(unknown, 404, "job-not-found", "'none'");
    }

    private static JsonContent Job(string job, string input) => JsonContent.Create(new JsonObject { ["job"] = job, ["input"] = input });

    private static Task<HttpResponseMessage> PutAsync(GatewayHost gateway, string path, string text) =>
        gateway.Http.PutAsync(path, new StringContent(text, Encoding.UTF8, "text/plain"), TestStop);

    private async Task<GatewayHost> StartAsync(string variant, params (string, string)[] settings)
    {
        var redis = variant == Variants.Distributed ? await (await shared.OfAsync(RedisKind.Garnet)).ConnectAsync() : null;
        return await GatewayHost.StartAsync("gateway-here", services =>
        {
            if (redis is null) return;
            services.AddSingleton<IConnectionMultiplexer>(_ => redis).AddMapReduceCoordinator().AddMapReduceMapper().AddMapReduceReducer();
        }, [("Patterns:MapReduce:Redis:KeyTag", SharedRedis.NewTag()), .. settings]);
    }
}
