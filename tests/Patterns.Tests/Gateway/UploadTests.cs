using System.Net;
using DistributedPatterns.Tests.Support;

namespace DistributedPatterns.Tests.Gateway;

public sealed class UploadTests
{
    private const string Upload = GatewayHost.Runs + "?pipeline=unicode";
    private const string A = "0041;A;Lu;0;L;;;;;N;;;;0061;\n";
    private const string B = "0042;B;Lu;0;L;;;;;N;;;;0062;\n";
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(20);

    [Fact(Timeout = 60_000)]
    public async Task Post_OfFile_GivesItsResultAndDeletesItAtTheEnd()
    {
        await using var gateway = await GatewayHost.StartAsync();
        var sample = Path.Combine(AppContext.BaseDirectory, "inputs", "UnicodeData.txt");
        await using var file = File.OpenRead(sample);

        using var started = await gateway.UploadAsync(new StreamContent(file));

        Assert.Equal(HttpStatusCode.Accepted, started.StatusCode);
        var status = await gateway.EndOfAsync(started);
        Assert.Equal("Completed", (string?)status["state"]);
        Assert.Equal((34_924, 29), ((int)status["result"]!["records"]!, (int)status["result"]!["categories"]!));
        await NoFileIsLeftAsync(gateway);
    }

    [Fact(Timeout = 60_000)]
    public async Task Post_OfFileWithMalformedLine_DivertsItWithItsNumber()
    {
        await using var gateway = await GatewayHost.StartAsync();

        using var started = await gateway.UploadAsync(new StringContent(A + "not a record\n" + B));

        var status = await gateway.EndOfAsync(started);
        Assert.Equal(("Completed", 2), ((string?)status["state"], (int)status["result"]!["records"]!));
        var diverted = Assert.Single(status["diverted"]!.AsArray())!;
        Assert.Equal((2, "parse"), ((int)diverted["number"]!, (string?)diverted["stage"]));
        Assert.Contains("1 field instead of 15", (string?)diverted["reason"], StringComparison.Ordinal);
    }

    [Fact(Timeout = 60_000)]
    public async Task Post_OfFile_KeepsItAsLongAsItsRunIsOpen()
    {
        await using var gateway = await GatewayHost.StartAsync();

        using var started = await gateway.UploadAsync(new StringContent("a\n"), "gated");

        Assert.Single(gateway.UploadedFiles);
        using var stopped = await gateway.Http.DeleteAsync($"{started.Headers.Location}?mode=abort", Token);
        await NoFileIsLeftAsync(gateway);
    }

    [Fact(Timeout = 60_000)]
    public async Task Stop_WithRunThatReadsAnUpload_DeletesTheUpload()
    {
        var data = Directory.CreateTempSubdirectory("gateway-tests-");
        await using (var gateway = await GatewayHost.StartAsync(("Data:Path", data.FullName)))
        {
            using var started = await gateway.UploadAsync(new StringContent("a\n"), "gated");
            Assert.Single(data.GetFiles("*", SearchOption.AllDirectories));
        }

        Assert.Empty(data.GetFiles("*", SearchOption.AllDirectories));
        data.Delete(recursive: true);
    }

    [Fact(Timeout = 60_000)]
    public async Task Post_OfOneGigabyteInChunks_Is413LongBeforeItsEnd()
    {
        await using var gateway = await GatewayHost.StartAsync(("Gateway:MaxUploadBytes", "1048576"));
        using var request = await RawRequest.BeginAsync(gateway.Address, Upload, "Content-Type: text/plain", "Transfer-Encoding: chunked");

        var sending = request.SendChunksAsync(1L << 30);
        var (status, body) = await request.ReadToEndAsync();

        ProblemAssert.Is(body, 413, "body-too-large", "1,048,576 bytes", "Gateway:MaxUploadBytes");
        Assert.Equal(413, status);
        Assert.InRange(await sending, 1 << 20, 64 << 20); // the limit, and what two sockets hold
        await NothingIsLeftAsync(gateway);
    }

    [Fact(Timeout = 60_000)]
    public async Task Post_WithContentLengthOverTheLimit_Is413BeforeTheFirstByte()
    {
        await using var gateway = await GatewayHost.StartAsync(("Gateway:MaxUploadBytes", "1048576"));
        using var request = await RawRequest.BeginAsync(gateway.Address, Upload, "Content-Type: text/plain", "Content-Length: 1073741824");

        var (status, body) = await request.ReadToEndAsync();

        ProblemAssert.Is(body, 413, "body-too-large", "1,073,741,824 bytes", "1,048,576 bytes");
        Assert.Equal(413, status);
        await NothingIsLeftAsync(gateway);
    }

    [Theory(Timeout = 60_000)]
    [InlineData(1_024, HttpStatusCode.Accepted)]
    [InlineData(1_025, HttpStatusCode.RequestEntityTooLarge)]
    public async Task Post_OfFile_TakesExactlyTheLimit(int bytes, HttpStatusCode expected)
    {
        await using var gateway = await GatewayHost.StartAsync(("Gateway:MaxUploadBytes", "1024"));

        using var response = await gateway.UploadAsync(new StringContent(new string('a', bytes)));

        Assert.Equal(expected, response.StatusCode);
    }

    [Theory(Timeout = 60_000)]
    [InlineData(true, new[] { 499 })]
    [InlineData(false, new[] { 400, 499 })]
    public async Task Post_WithConnectionClosedInMidUpload_LeavesNoFileAndNoRun(bool cut, int[] answers)
    {
        await using var gateway = await GatewayHost.StartAsync();
        using var request = await RawRequest.BeginAsync(gateway.Address, Upload, "Content-Type: text/plain", "Content-Length: 1000000");
        await request.SendAsync("0041;A;"u8.ToArray());
        await Eventually.TrueAsync(() => gateway.UploadedFiles.Count == 1, s_limit, () => "the upload has not begun");

        if (cut) request.Cut();
        else request.EndSending();

        Assert.Contains(await gateway.Answered.Reader.ReadAsync(Token), answers);
        await NothingIsLeftAsync(gateway);
    }

    [Fact(Timeout = 60_000)]
    public async Task Post_OfManyWhoLeaveInMidUpload_LogsNoError()
    {
        const int Clients = 30;
        await using var gateway = await GatewayHost.StartAsync(("Gateway:MaxUploads", $"{Clients}"));
        var clients = await Task.WhenAll(Enumerable.Range(0, Clients).Select(_ =>
            RawRequest.BeginAsync(gateway.Address, Upload, "Content-Type: text/plain", "Content-Length: 1000000")));
        await Eventually.TrueAsync(() => gateway.UploadedFiles.Count == Clients, s_limit, () => $"{gateway.UploadedFiles.Count} uploads have begun");

        foreach (var (i, client) in clients.Index())
        {
            if (i % 2 == 0) client.Cut();
            client.Dispose();
        }

        for (var i = 0; i < Clients; i++) Assert.True(await gateway.Answered.Reader.ReadAsync(Token) is 400 or 499);
        await NothingIsLeftAsync(gateway);
    }

    [Fact(Timeout = 60_000)]
    public async Task Post_BeyondMaxUploads_Is503AndTheNextOneAfterwardsIsTaken()
    {
        await using var gateway = await GatewayHost.StartAsync(("Gateway:MaxUploads", "1"));
        using (var slow = await RawRequest.BeginAsync(gateway.Address, Upload, "Content-Type: text/plain", "Content-Length: 1000000"))
        {
            await Eventually.TrueAsync(() => gateway.UploadedFiles.Count == 1, s_limit, () => "the upload has not begun");
            using var refused = await gateway.UploadAsync(new StringContent(A));
            await ProblemAssert.IsAsync(refused, 503, "full", "1 of 1 uploads", "Gateway:MaxUploads");
            slow.Cut();
        }
        await NoFileIsLeftAsync(gateway);

        using var taken = await gateway.UploadAsync(new StringContent(A));

        Assert.Equal(HttpStatusCode.Accepted, taken.StatusCode);
    }

    [Fact(Timeout = 60_000)]
    public async Task Post_OfSameFileWithSameKey_KeepsOneRunAndOneFile()
    {
        await using var gateway = await GatewayHost.StartAsync();
        using var first = await gateway.UploadAsync(new StringContent("a\n"), "gated", "key-1");
        using var second = await gateway.UploadAsync(new StringContent("a\n"), "gated", "key-1");
        using var other = await gateway.UploadAsync(new StringContent("b\n"), "gated", "key-1");

        Assert.Equal(await first.Content.ReadAsStringAsync(Token), await second.Content.ReadAsStringAsync(Token));
        await ProblemAssert.IsAsync(other, 422, "idempotency-mismatch");
        Assert.Single(gateway.UploadedFiles);
    }

    [Fact(Timeout = 60_000)]
    public async Task Post_OfSameFileWithSameKeyByManyAtOnce_KeepsTheFileThatTheRunReads()
    {
        await using var gateway = await GatewayHost.StartAsync();

        var replies = await Task.WhenAll(Enumerable.Range(0, 12).Select(_ => gateway.UploadAsync(new StringContent("a\n"), "gated", "storm")));

        Assert.All(replies, reply => Assert.Equal(HttpStatusCode.Accepted, reply.StatusCode));
        var status = await gateway.GetAsync(replies[0].Headers.Location!.ToString());
        Assert.Equal([(string?)status["input"]], gateway.UploadedFiles.Select(Path.GetFileName));
        Assert.Equal(1, (int)(await gateway.StatsAsync())["started"]!);
    }

    private static Task NoFileIsLeftAsync(GatewayHost gateway) => Eventually.TrueAsync(
        () => gateway.UploadedFiles.Count == 0, s_limit, () => $"left are: {string.Join(", ", gateway.UploadedFiles)}");

    private static async Task NothingIsLeftAsync(GatewayHost gateway)
    {
        await NoFileIsLeftAsync(gateway);
        Assert.Equal(0, (int)(await gateway.StatsAsync())["started"]!);
        Assert.True(gateway.Log.Errors.IsEmpty, string.Join('\n', gateway.Log.Errors));
    }

    private static CancellationToken Token => TestContext.Current.CancellationToken;
}
