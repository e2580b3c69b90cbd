using System.Net;
using System.Text.Json.Nodes;
using DistributedPatterns.Diagnostics;
using DistributedPatterns.FanOutFanIn;
using DistributedPatterns.Pipeline;
using DistributedPatterns.Tests.FanOutFanIn;
using DistributedPatterns.Tests.Support;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace DistributedPatterns.Tests.Gateway;

/// <summary>Fan-out/fan-in over HTTP: the same requests, the same answers in both variants.</summary>
public sealed class FanOutFanInTests : IAsyncDisposable
{
    private const int HangLimit = 60_000;

    // grep -c '^[^;]*;[^;]*;Lo;' and wc -l of services/Producer/inputs/UnicodeData.txt
    private const long LettersOther = 17_273;
    private const long Lines = 34_924;

    private readonly List<FanOutCluster> _workers = [];

    private static CancellationToken TestStop => TestContext.Current.CancellationToken;

    public async ValueTask DisposeAsync()
    {
        foreach (var workers in _workers) await workers.DisposeAsync();
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(Variants.Channel, "completed")]
    [InlineData(Variants.Channel, "asked")]
    [InlineData(Variants.Distributed, "completed")]
    [InlineData(Variants.Distributed, "asked")]
    public async Task Get_ModeAll_GathersEveryAnswerOnce(string variant, string order)
    {
        await using var gateway = await StartAsync(variant);

        var reply = await gateway.GetAsync($"/api/fan-out-fan-in/{variant}?n=1000&order={order}");

        Assert.Equal(1000 * 999 / 2, (long)reply["checksum"]!);
        AssertCounts(reply["summary"]!, asked: 1000, done: 1000, failed: 0, missing: 0);
        Assert.Equal(1000, reply["summary"]!["workers"]!.AsArray().Sum(worker => (long)worker!["answered"]!));
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(Variants.Channel)]
    [InlineData(Variants.Distributed)]
    public async Task Get_WithADegree_LetsNoMoreRunAtATime(string variant)
    {
        await using var gateway = await StartAsync(variant);

        var one = await gateway.GetAsync($"/api/fan-out-fan-in/{variant}?n=6&degree=1&work=io:30ms");

        // One after the other takes six times as long as one, however slow the machine is; its timer may end early by a tick of 10 ms.
        Assert.Equal(15, (long)one["checksum"]!);
        Assert.True((double)one["summary"]!["elapsedMs"]! >= 6 * 20, one.ToJsonString());
        Assert.Single(one["summary"]!["workers"]!.AsArray());
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(Variants.Channel)]
    [InlineData(Variants.Distributed)]
    public async Task Get_ModeFirst_NamesTheWinnerAndCancelsTheLosers(string variant)
    {
        await using var gateway = await StartAsync(variant);

        var reply = await gateway.GetAsync($"/api/fan-out-fan-in/{variant}?n=3&mode=first&work=io:3s&hedge=off&fail=0");

        var first = reply["first"]!;
        Assert.InRange((long)first["index"]!, 1, 2);
        Assert.Equal(((long)first["index"]!, 3), ((long)reply["checksum"]!, (int)first["started"]!));
        Assert.NotEmpty((string)first["worker"]!);
        var stats = await StatsAsync(gateway, variant);
        Assert.Equal((0, 3), ((int)stats["open"]!, (int)stats["asked"]!));
        // Two may end in the same moment, and the one that fails may come too late to be counted as that; one is the answer.
        Assert.Equal(3, (int)stats["done"]! + (int)stats["missing"]! + (int)stats["failed"]!);
        Assert.InRange((int)stats["failed"]!, 0, 1);
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(Variants.Channel)]
    [InlineData(Variants.Distributed)]
    public async Task Get_ABranchFails_Is502ByDefaultAndListedWhenCollected(string variant)
    {
        await using var gateway = await StartAsync(variant);

        using var stopped = await gateway.Http.GetAsync($"/api/fan-out-fan-in/{variant}?n=8&fail=5", TestStop);
        var collected = await gateway.GetAsync($"/api/fan-out-fan-in/{variant}?n=8&fail=5&errors=collect");

        await ProblemAssert.IsAsync(stopped, 502, "branch-failed", "item 5", "asked to fail");
        AssertCounts(collected["summary"]!, asked: 8, done: 7, failed: 1, missing: 0);
        Assert.Equal((8 * 7 / 2) - 5, (long)collected["checksum"]!);
        Assert.Equal(5, (long)collected["summary"]!["failures"]!.AsArray().Single()!["index"]!);
        Assert.Empty(gateway.Log.Errors);
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(Variants.Channel)]
    [InlineData(Variants.Distributed)]
    public async Task Get_AtTheDeadline_Is504OrWhatIsThere(string variant)
    {
        await using var gateway = await StartAsync(variant);
        await gateway.GetAsync($"/api/fan-out-fan-in/{variant}?n=1"); // connected by now
        var slow = $"/api/fan-out-fan-in/{variant}?n=4&degree=1&work=io:30s&deadline=1s";

        using var all = await gateway.Http.GetAsync(slow, TestStop);
        var partial = await gateway.GetAsync(slow + "&mode=partial");

        await ProblemAssert.IsAsync(all, 504, "deadline-exceeded", "0 of 4", "Deadline");
        AssertCounts(partial["summary"]!, asked: 4, done: 0, failed: 0, missing: 4);
        Assert.Equal((0, 4), ((long)partial["summary"]!["missingInputs"]!.AsArray().Single()!["first"]!, (long)partial["summary"]!["missingInputs"]![0]!["count"]!));
        Assert.Equal(8, (long)(await StatsAsync(gateway, variant))["missing"]!);
        Assert.Empty(gateway.Log.Errors);
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(Variants.Channel)]
    [InlineData(Variants.Distributed)]
    public async Task Get_TheClientLeaves_CancelsTheBranchesAndIsNoError(string variant)
    {
        await using var gateway = await StartAsync(variant);
        using var leaving = CancellationTokenSource.CreateLinkedTokenSource(TestStop);
        var request = gateway.Http.GetAsync($"/api/fan-out-fan-in/{variant}?n=4&work=io:60s&deadline=60s", leaving.Token);
        await Eventually.TrueAsync(async () => (int)(await StatsAsync(gateway, variant))["open"]! == 1, TimeSpan.FromSeconds(30), () => "the gathering does not begin");

        await leaving.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => request);
        while (await gateway.Answered.Reader.ReadAsync(TestStop) is var status && status != 499) Assert.Equal(200, status);
        await Eventually.TrueAsync(async () => (int)(await StatsAsync(gateway, variant))["stillAbandoned"]! == 0, TimeSpan.FromSeconds(30), () => "a branch goes on");
        var stats = await StatsAsync(gateway, variant);
        Assert.Equal((0, 4, 4), ((int)stats["open"]!, (int)stats["asked"]!, (int)stats["missing"]!));
        Assert.Empty(gateway.Log.Errors);
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(Variants.Channel)]
    [InlineData(Variants.Distributed)]
    public async Task Scan_OfAnInputOrABody_CountsWhatTheWholeHas(string variant)
    {
        await using var gateway = await StartAsync(variant);

        var named = await gateway.GetAsync($"/api/fan-out-fan-in/{variant}/scan?input=unicode-data&find=Lo&parts=7");
        AssertCounts(named["summary"]!, asked: 7, done: 7, failed: 0, missing: 0);
        Assert.Equal((LettersOther, Lines), ((long)named["matches"]!, (long)named["lines"]!));
        if (variant == Variants.Distributed) return; // a body is on the gateway's disk, which these workers do not share
        using var posted = await gateway.PostAsync($"/api/fan-out-fan-in/{variant}/scan?find=the&parts=3", new StringContent("the cat\nthen the dog\n"), "text/plain");

        Assert.Equal(HttpStatusCode.OK, posted.StatusCode);
        var reply = JsonNode.Parse(await posted.Content.ReadAsStringAsync(TestStop))!;
        Assert.Equal((2, 2, "word"), ((long)reply["matches"]!, (long)reply["lines"]!, (string?)reply["by"]));
        Assert.Empty(gateway.UploadedFiles);
    }

    [Theory(Timeout = HangLimit)]
    [InlineData("?n=0", "'n'", "1 to 100000")]
    [InlineData("?n=100001", "'n'", "1 to 100000")]
    [InlineData("?n=12&mode=first", "'n'", "1 to 11")]
    [InlineData("?degree=1025", "'degree'", "1 to 1024")]
    [InlineData("?mode=some", "'mode'", "all or partial or first")]
    [InlineData("?order=random", "'order'", "completed or asked")]
    [InlineData("?errors=ignore", "'errors'", "stop or collect")]
    [InlineData("?deadline=61s", "'deadline'", "1ms to 60s")]
    [InlineData("?deadline=0ms", "'deadline'", "1ms to 60s")]
    [InlineData("?work=sleep:5s", "'work'", "cpu:200us")]
    [InlineData("?hedge=p95", "'hedge'", "mode=first")]
    [InlineData("?mode=first&hedge=p50", "'hedge'", "p95 or off")]
    [InlineData("?n=4&fail=4", "'fail'", "0 to 3")]
    [InlineData("?count=4", "'count'", "n, degree, mode")]
    [InlineData("?n=1&n=2", "'n'", "2 times")]
    [InlineData("/scan", "'find'", "1 to 100 characters")]
    [InlineData("/scan?find=Lo&by=line", "'by'", "word or category")]
    [InlineData("/scan?find=Lo&parts=1025", "'parts'", "1 to 1024")]
    [InlineData("/scan?find=Lo&degree=0", "'degree'", "1 to 1024")]
    public async Task Get_OfABadParameter_IsAProblemThatNamesWhatIsAccepted(string query, string name, string accepted)
    {
        await using var gateway = await StartAsync(Variants.Channel);

        using var refused = await gateway.Http.GetAsync($"/api/fan-out-fan-in/channel{query}", TestStop);

        await ProblemAssert.IsAsync(refused, 400, "invalid-parameter", name, accepted);
        Assert.Equal(0, (int)(await StatsAsync(gateway, Variants.Channel))["asked"]!);
        Assert.Empty(gateway.Log.Errors);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Scan_OfAnUnknownInput_IsAProblemThatNamesThoseThereAre()
    {
        await using var gateway = await StartAsync(Variants.Channel);

        using var refused = await gateway.Http.GetAsync("/api/fan-out-fan-in/channel/scan?input=../../etc/passwd&find=root", TestStop);
        using var image = await gateway.PostAsync("/api/fan-out-fan-in/channel/scan?find=the", new StringContent("x"), "image/png");

        await ProblemAssert.IsAsync(refused, 400, "invalid-input", "unicode-data");
        await ProblemAssert.IsAsync(image, 415, "unsupported-media-type", "text/plain");
    }

    [Fact(Timeout = HangLimit)]
    public async Task Get_WithoutAWorker_Is503InTheDistributedVariantOnly()
    {
        await using var gateway = await StartAsync(Variants.Distributed, 0, ("Patterns:FanOutFanIn:Grpc:MemberWait", "00:00:00.1"));

        using var distributed = await gateway.Http.GetAsync("/api/fan-out-fan-in/distributed?n=4", TestStop);
        var channel = await gateway.GetAsync("/api/fan-out-fan-in/channel?n=4");

        await ProblemAssert.IsAsync(distributed, 503, "no-worker", "No worker", "4 of 4");
        Assert.Equal(6, (long)channel["checksum"]!);
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(Variants.Channel)]
    [InlineData(Variants.Distributed)]
    public async Task Get_BeyondMaxOpen_Is503AndStatsAddUp(string variant)
    {
        await using var gateway = await StartAsync(variant, ("Patterns:FanOutFanIn:Channel:MaxOpen", "1"), ("Patterns:FanOutFanIn:Grpc:MaxOpen", "1"));
        using var leaving = CancellationTokenSource.CreateLinkedTokenSource(TestStop);
        var first = gateway.Http.GetAsync($"/api/fan-out-fan-in/{variant}?n=3&work=io:60s&deadline=60s", leaving.Token);
        await Eventually.TrueAsync(async () => (int)(await StatsAsync(gateway, variant))["open"]! == 1, TimeSpan.FromSeconds(30), () => "the gathering does not begin");

        using var second = await gateway.Http.GetAsync($"/api/fan-out-fan-in/{variant}?n=1", TestStop);

        await ProblemAssert.IsAsync(second, 503, "full", "1 of 1", "MaxOpen");
        await leaving.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => first);
        await Eventually.TrueAsync(async () => (int)(await StatsAsync(gateway, variant))["open"]! == 0, TimeSpan.FromSeconds(30), () => "the gathering does not end");
        var stats = await StatsAsync(gateway, variant);
        Assert.Equal((long)stats["asked"]!, (long)stats["done"]! + (long)stats["failed"]! + (long)stats["missing"]!);
    }

    private static Task<JsonObject> StatsAsync(GatewayHost gateway, string variant) => gateway.GetAsync($"/api/fan-out-fan-in/{variant}/stats");

    private static void AssertCounts(JsonNode summary, long asked, long done, long failed, long missing) => Assert.Equal(
        (asked, done, failed, missing), ((long)summary["asked"]!, (long)summary["done"]!, (long)summary["failed"]!, (long)summary["missing"]!));

    /// <summary>Starts a gateway; for the distributed variant with two workers on sockets of their own.</summary>
    private Task<GatewayHost> StartAsync(string variant, params (string, string)[] settings) => StartAsync(variant, 2, settings);

    private async Task<GatewayHost> StartAsync(string variant, int count, params (string, string)[] settings)
    {
        if (variant == Variants.Channel) return await GatewayHost.StartAsync(settings);
        var workers = await FanOutCluster.StartAsync(
            [WorkBranch.Create(TimeProvider.System), FileScan.Create(new PipelineInputs(Options.Create(new PipelineInputOptions())))], count);
        _workers.Add(workers);
        return await GatewayHost.StartAsync(
            "gateway-here", services => services.AddSingleton(workers.Members).AddSingleton(workers.Channels), settings);
    }
}
