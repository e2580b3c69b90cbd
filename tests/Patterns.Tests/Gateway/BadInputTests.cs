using System.Net;
using System.Net.Http.Headers;
using System.Text;

namespace DistributedPatterns.Tests.Gateway;

/// <summary>What a caller can get wrong: each is a problem that names what is wrong and what is accepted, and the gateway goes on.</summary>
public sealed class BadInputTests : IAsyncLifetime
{
    private GatewayHost _gateway = null!;

    public async ValueTask InitializeAsync() => _gateway = await GatewayHost.StartAsync();

    public async ValueTask DisposeAsync()
    {
        Assert.Empty(_gateway.Log.Errors);
        using var still = await _gateway.Http.GetAsync("/api/pipeline/channel/echo?n=1", Token);
        Assert.Equal(HttpStatusCode.OK, still.StatusCode);
        await _gateway.DisposeAsync();
    }

    [Theory]
    [InlineData("/nothing", "unknown-route", "/api/patterns", null, null)]
    [InlineData("/api", "unknown-route", "/api/patterns", null, null)]
    [InlineData("/api/nothing/channel/runs", "unknown-pattern", "pipeline", null, null)]
    [InlineData("/api/pipeline", "unknown-variant", "channel, distributed", "pipeline", null)]
    [InlineData("/api/pipeline/nothing/runs", "unknown-variant", "channel, distributed", "pipeline", null)]
    [InlineData("/api/pipeline/channel/nothing", "unknown-route", "/api/patterns", "pipeline", "channel")]
    [InlineData("/api/pipeline/channel/runs/gateway-here.none", "run-not-found", "gateway-here.none", "pipeline", "channel")]
    [InlineData("/api/pipeline/channel/runs/none", "run-not-found", "none", "pipeline", "channel")]
    [InlineData("/api/pipeline/channel/runs/gateway-gone.none", "elsewhere", "gateway-gone", "pipeline", "channel")]
    [InlineData("/api/pipeline/channel/runs/gateway-gone.none/events", "elsewhere", "this is 'gateway-here'", "pipeline", "channel")]
    public async Task Get_OfWhatIsNotThere_Is404(string path, string slug, string mention, string? pattern, string? variant)
    {
        using var response = await _gateway.Http.GetAsync(path, Token);

        var problem = await ProblemAssert.IsAsync(response, 404, slug, mention);
        Assert.Equal((pattern, variant, path), ((string?)problem["pattern"], (string?)problem["variant"], (string?)problem["instance"]));
    }

    [Theory]
    [InlineData("DELETE", "runs", "POST")]
    [InlineData("GET", "runs", "POST")]
    [InlineData("PUT", "runs/gateway-here.x", "GET")]
    [InlineData("POST", "echo", "GET")]
    public async Task Send_WithMethodThatIsNotThere_Is405WithAllow(string method, string path, string allowed)
    {
        using var response = await _gateway.Http.SendAsync(new HttpRequestMessage(new HttpMethod(method), $"/api/pipeline/channel/{path}"), Token);

        await ProblemAssert.IsAsync(response, 405, "method-not-allowed", allowed, method);
        Assert.Contains(allowed, response.Content.Headers.Allow);
    }

    [Theory]
    [InlineData("echo?n=many", "invalid-input", "1 to 10,000,000")]
    [InlineData("echo?n=0", "invalid-input", "1 to 10,000,000")]
    [InlineData("echo?n=-1", "invalid-input", "1 to 10,000,000")]
    [InlineData("echo?n=1.5", "invalid-input", "1 to 10,000,000")]
    [InlineData("echo?n=10000001", "invalid-input", "1 to 10,000,000")]
    [InlineData("echo?n=99999999999999999999999999", "invalid-input", "1 to 10,000,000")]
    [InlineData("echo?n=", "invalid-input", "1 to 10,000,000")]
    [InlineData("echo?n=1&n=2", "invalid-parameter", "'n' is given 2 times")]
    [InlineData("echo?count=1", "invalid-parameter", "n, timeout")]
    [InlineData("echo?timeout=10", "invalid-parameter", "from 1ms to 60s")]
    [InlineData("echo?timeout=0ms", "invalid-parameter", "from 1ms to 60s")]
    [InlineData("echo?timeout=-1s", "invalid-parameter", "from 1ms to 60s")]
    [InlineData("echo?timeout=61s", "invalid-parameter", "from 1ms to 60s")]
    [InlineData("echo?timeout=99999999999s", "invalid-parameter", "from 1ms to 60s")]
    [InlineData("stats?n=1", "invalid-parameter", "takes none")]
    [InlineData("runs/gateway-here.x?wait=soon", "invalid-parameter", "from 0s to 60s")]
    [InlineData("runs/gateway-here.x?wait=2m", "invalid-parameter", "from 0s to 60s")]
    public async Task Get_WithBadParameter_Is400AndNamesWhatIsAccepted(string path, string slug, string mention)
    {
        using var response = await _gateway.Http.GetAsync($"/api/pipeline/channel/{path}", Token);

        await ProblemAssert.IsAsync(response, 400, slug, mention);
    }

    [Fact]
    public async Task Delete_WithUnknownMode_Is400AndNamesTheModes()
    {
        using var response = await _gateway.Http.DeleteAsync($"{GatewayHost.Runs}/gateway-here.x?mode=now", Token);

        await ProblemAssert.IsAsync(response, 400, "invalid-parameter", "drain or abort", "'now'");
    }

    [Theory]
    [InlineData("", "empty-body", "unicode-data")]
    [InlineData("{", "malformed-body", "'pipeline' and 'input'", "line 1")]
    [InlineData("[]", "malformed-body", "'pipeline' and 'input'")]
    [InlineData("null", "malformed-body", "'pipeline' and 'input'")]
    [InlineData("{\"pipeline\":1,\"input\":\"x\"}", "malformed-body", "$.pipeline")]
    [InlineData("{\"pipeline\":\"echo\",\"input\":10}", "malformed-body", "$.input")]
    [InlineData("{\"pipeline\":\"echo\",\"input\":\"1\",\"items\":1}", "malformed-body", "'pipeline' and 'input'")]
    [InlineData("{\"input\":\"unicode-data\"}", "unknown-pipeline", "unicode, echo")]
    [InlineData("{\"pipeline\":\"echo\"}", "invalid-input", "'input' is missing")]
    [InlineData("{\"pipeline\":\"nothing\",\"input\":\"x\"}", "unknown-pipeline", "unicode, echo", "'nothing'")]
    [InlineData("{\"pipeline\":\"unicode\",\"input\":\"nothing\"}", "invalid-input", "unicode-data", "'nothing'")]
    [InlineData("{\"pipeline\":\"unicode\",\"input\":\"../../etc/passwd\"}", "invalid-input", "unicode-data")]
    public async Task Post_OfBadJson_Is400AndNamesWhatIsAccepted(string body, string slug, params string[] mentions)
    {
        using var response = await _gateway.PostAsync(GatewayHost.Runs, new StringContent(body), "application/json");

        await ProblemAssert.IsAsync(response, 400, slug, mentions);
    }

    [Fact]
    public async Task Post_OfJsonThatIsNotUtf8_Is400()
    {
        using var response = await _gateway.PostAsync(GatewayHost.Runs, new ByteArrayContent([.. "{\"pipeline\":\""u8, 0xFF, .. "\"}"u8]), "application/json");

        await ProblemAssert.IsAsync(response, 400, "malformed-body", "$.pipeline");
    }

    [Fact]
    public async Task Post_OfHugeJson_Is413AndNamesTheLimit()
    {
        using var response = await _gateway.PostAsync(GatewayHost.Runs, new StringContent(new string(' ', 100_000)), "application/json");

        await ProblemAssert.IsAsync(response, 413, "body-too-large", "16,384 bytes");
    }

    [Fact]
    public async Task Post_WithHugeName_DoesNotSendItBack()
    {
        using var response = await _gateway.StartRunAsync(new string('x', 10_000), "x");

        var problem = await ProblemAssert.IsAsync(response, 400, "unknown-pipeline", "unicode, echo");
        Assert.InRange(((string)problem["detail"]!).Length, 1, 400);
    }

    [Theory]
    [InlineData("?pipeline=nothing", "unknown-pipeline", "unicode, echo")]
    [InlineData("", "unknown-pipeline", "unicode, echo")]
    [InlineData("?pipelin=unicode", "invalid-parameter", "pipeline")]
    public async Task Post_OfFileForNoPipeline_Is400BeforeTheFileIsTaken(string query, string slug, string mention)
    {
        using var response = await _gateway.PostAsync(GatewayHost.Runs + query, new StringContent("a"), "text/plain");

        await ProblemAssert.IsAsync(response, 400, slug, mention);
        Assert.Empty(_gateway.UploadedFiles);
    }

    [Fact]
    public async Task Post_OfJsonWithPipelineInTheQuery_Is400()
    {
        using var response = await _gateway.PostAsync($"{GatewayHost.Runs}?pipeline=echo", new StringContent("{}"), "application/json");

        await ProblemAssert.IsAsync(response, 400, "invalid-parameter", "a JSON body names the pipeline itself");
    }

    [Theory]
    [InlineData("application/xml")]
    [InlineData("multipart/form-data; boundary=x")]
    [InlineData("application/x-www-form-urlencoded")]
    [InlineData(null)]
    public async Task Post_OfOtherContentType_Is415AndNamesTheTypes(string? type)
    {
        using var response = await _gateway.PostAsync($"{GatewayHost.Runs}?pipeline=unicode", new ByteArrayContent("a"u8.ToArray()), type);

        await ProblemAssert.IsAsync(response, 415, "unsupported-media-type", "application/json", "text/plain", "application/octet-stream");
    }

    [Theory]
    [InlineData("text/plain; charset=utf-16", null, "utf-16", "UTF-8")]
    [InlineData("application/json; charset=\"iso-8859-1\"", null, "iso-8859-1", "UTF-8")]
    [InlineData("text/plain", "gzip", "gzip", "as it is")]
    public async Task Post_OfWhatIsEncodedOtherwise_Is415AndSaysWhatIsAccepted(string type, string? encoding, params string[] mentions)
    {
        using var body = new ByteArrayContent("a"u8.ToArray());
        if (encoding is not null) body.Headers.ContentEncoding.Add(encoding);

        using var response = await _gateway.PostAsync($"{GatewayHost.Runs}?pipeline=unicode", body, type);

        await ProblemAssert.IsAsync(response, 415, "unsupported-media-type", mentions);
        Assert.Empty(_gateway.UploadedFiles);
    }

    [Fact]
    public async Task Post_OfTextThatSaysItIsUtf8_IsTaken()
    {
        using var response = await _gateway.PostAsync($"{GatewayHost.Runs}?pipeline=unicode", new ByteArrayContent("a"u8.ToArray()), "text/plain; charset=\"UTF-8\"");

        Assert.Equal(HttpStatusCode.Accepted, response.StatusCode);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("application/json")]
    [InlineData("text/plain")]
    public async Task Post_WithoutBody_Is400(string? type)
    {
        using var response = await _gateway.PostAsync(type == "text/plain" ? $"{GatewayHost.Runs}?pipeline=unicode" : GatewayHost.Runs, new ByteArrayContent([]), type);

        await ProblemAssert.IsAsync(response, 400, "empty-body");
        Assert.Empty(_gateway.UploadedFiles);
    }

    [Theory]
    [InlineData(new byte[] { (byte)'a', 0, (byte)'b' }, "byte 2 is NUL")]
    [InlineData(new byte[] { (byte)'a', 0xFF, (byte)'b' }, "not UTF-8")]
    [InlineData(new byte[] { (byte)'a', 0xC3 }, "not UTF-8")]
    public async Task Post_OfBinaryFile_Is415AndLeavesNoFile(byte[] file, string mention)
    {
        using var response = await _gateway.PostAsync($"{GatewayHost.Runs}?pipeline=unicode", new ByteArrayContent(file), "application/octet-stream");

        await ProblemAssert.IsAsync(response, 415, "not-text", mention);
        Assert.Empty(_gateway.UploadedFiles);
    }

    [Theory]
    [InlineData("two words")]
    [InlineData("a.b")]
    [InlineData("12345678901234567890123456789012345678901234567890123456789012345")]
    public async Task Post_WithBadKey_Is400AndSaysWhatAKeyIs(string key)
    {
        using var response = await _gateway.StartRunAsync("echo", "1", key);

        await ProblemAssert.IsAsync(response, 400, "invalid-parameter", "Idempotency-Key", "1 to 64");
    }

    [Fact]
    public async Task Get_ByBrowserOfWhatIsNotThere_IsAProblemAllTheSame()
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "/api/nothing");
        request.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue("text/html"));

        using var response = await _gateway.Http.SendAsync(request, Token);

        await ProblemAssert.IsAsync(response, 404, "unknown-pattern");
    }

    [Fact]
    public async Task Get_OfLongPath_ShortensItInTheDetail()
    {
        using var response = await _gateway.Http.GetAsync($"/api/{new string('x', 5_000)}", Token);

        var problem = await ProblemAssert.IsAsync(response, 404, "unknown-pattern", "…");
        Assert.InRange(Encoding.UTF8.GetByteCount((string)problem["detail"]!), 1, 400);
    }

    [Theory]
    [InlineData("elsewhere", HttpStatusCode.OK)]
    [InlineData("nothing", HttpStatusCode.NotFound)]
    public async Task Get_OfProblemPage_IsThereForEachSlug(string slug, HttpStatusCode expected)
    {
        using var page = await _gateway.Http.GetAsync($"/problems/{slug}", Token);

        Assert.Equal(expected, page.StatusCode);
    }

    private static CancellationToken Token => TestContext.Current.CancellationToken;
}
