using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Aspire.Hosting.Dashboard.Telemetry;

namespace DistributedPatterns.Tests.Dashboard;

/// <summary>The telemetry as JSON.</summary>
public sealed class TelemetryApiTests : IAsyncLifetime
{
    private static readonly Google.Protobuf.ByteString s_trace = Otlp.Id(16);

    private TelemetryServer _server = null!;

    public async ValueTask InitializeAsync()
    {
        _server = await TelemetryServer.StartAsync();
        var root = Otlp.Span(s_trace, "GET /x");
        var log = Otlp.Log("hello <b>world</b>", severity: 17);
        (log.TraceId, log.SpanId) = (s_trace, root.SpanId);
        log.Attributes.Add([Otlp.Pair("Name", "world"), Otlp.Pair("Name", "twice")]);
        await _server.SendAsync(Otlp.Traces(Otlp.Process("gateway", "a"), root));
        await _server.SendAsync(Otlp.Traces(Otlp.Process("worker", "b"), Otlp.Span(s_trace, "call", root.SpanId, 0.5, 0.25), Otlp.Span(Otlp.Id(16), "other", start: 9)));
        await _server.SendAsync(Otlp.Logs(Otlp.Process("gateway", "a"), Otlp.Log("quiet"), log));
        await _server.SendAsync(Otlp.Metrics(Otlp.Process("worker", "b"), Otlp.Histogram(1, [1, 1, 0, 0], Aspire.Hosting.Dashboard.Telemetry.Protocol.AggregationTemporality.Cumulative)));
    }

    public async ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        await _server.DisposeAsync();
    }

    [Fact]
    public async Task Resources_AreThoseThatSent()
    {
        var resources = (await GetAsync("resources")).EnumerateArray().ToArray();

        Assert.Equal(["gateway-a", "worker-b"], resources.Select(r => r.GetProperty("name").GetString()));
        Assert.Equal((0, 2), (resources[1].GetProperty("logs").GetInt32(), resources[1].GetProperty("spans").GetInt32()));
    }

    [Theory]
    [InlineData("logs", 2)]
    [InlineData("logs?severity=error", 1)]
    [InlineData("logs?search=WORLD&resource=gateway", 1)]
    [InlineData("logs?resource=worker", 0)]
    [InlineData("spans", 3)]
    [InlineData("spans?resource=worker-b", 2)]
    [InlineData("spans?hasError=true", 0)]
    [InlineData("traces", 2)]
    [InlineData("traces?resource=gateway", 1)]
    [InlineData("traces?search=other", 1)]
    public async Task List_HasWhatPasses(string path, int count) => Assert.Equal(count, (await GetAsync(path)).GetProperty("totalCount").GetInt32());

    [Fact]
    public async Task Logs_HaveTheirFields()
    {
        var logs = await GetAsync($"logs?traceId={s_trace.Hex()}&limit=1");

        Assert.Equal((1, 1, 0), (logs.GetProperty("totalCount").GetInt32(), logs.GetProperty("returnedCount").GetInt32(), logs.GetProperty("dropped").GetInt32()));
        var log = logs.GetProperty("data")[0];
        Assert.Equal(("hello <b>world</b>", "Error", "gateway-a"), (log.GetProperty("message").GetString(), log.GetProperty("level").GetString(), log.GetProperty("resource").GetString()));
        Assert.Equal("world", log.GetProperty("attributes").GetProperty("Name").GetString());
    }

    [Fact]
    public async Task List_BeyondTheLimit_BeginsWithTheNewest()
    {
        var spans = await GetAsync("spans?limit=1");

        Assert.Equal((3, 1, "other"), (spans.GetProperty("totalCount").GetInt32(), spans.GetProperty("returnedCount").GetInt32(), spans.GetProperty("data")[0].GetProperty("name").GetString()));
    }

    [Fact]
    public async Task Trace_IsOneOverItsProcesses()
    {
        var trace = await GetAsync($"traces/{s_trace.Hex()}");

        Assert.Equal(["GET /x", "call"], trace.GetProperty("spans").EnumerateArray().Select(span => span.GetProperty("name").GetString()));
        Assert.Equal(250, trace.GetProperty("spans")[1].GetProperty("duration").GetDouble());
        Assert.Equal(1, trace.GetProperty("trace").GetProperty("resources").GetProperty("worker-b").GetInt32());
    }

    [Fact]
    public async Task Metrics_HaveTheLatestValues()
    {
        var instrument = (await GetAsync("metrics?meter=Test"))[0];

        Assert.Equal("histogram", instrument.GetProperty("instrument").GetProperty("name").GetString());
        Assert.Equal(1, instrument.GetProperty("series")[0].GetProperty("percentiles").GetProperty("p50").GetDouble());
        Assert.Equal(0, (await GetAsync("metrics?resource=gateway")).GetArrayLength());
    }

    [Theory]
    [InlineData("logs?severity=loud", "Trace, Debug, Information, Warning, Error, Critical, None")]
    [InlineData("logs?severity=77", "Trace, Debug")]
    [InlineData("logs?limit=0", "a whole number from 1 to 10000")]
    [InlineData("logs?level=error", "resource, traceId, severity, search, limit")]
    [InlineData("spans?hasError=perhaps", "true, false")]
    [InlineData("spans?traceId=ABC", "32 lower-case hexadecimal digits")]
    [InlineData("traces/xyz", "32 lower-case hexadecimal digits")]
    [InlineData("resources?x=1", "Accepted: none")]
    public async Task Parameter_ThatIsNotAccepted_SaysWhatIs(string path, string accepted)
    {
        using var response = await _server.Http.GetAsync(Url(path), TestContext.Current.CancellationToken);

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Equal("application/problem+json", response.Content.Headers.ContentType?.MediaType);
        Assert.Contains(accepted, (await response.Content.ReadFromJsonAsync<JsonElement>(TestContext.Current.CancellationToken)).GetProperty("detail").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Trace_ThatIsNotThere_Is404()
    {
        using var response = await _server.Http.GetAsync(Url($"traces/{Otlp.Id(16).Hex()}"), TestContext.Current.CancellationToken);

        Assert.Equal(HttpStatusCode.NotFound, response.StatusCode);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("wrong")]
    [InlineData(TelemetryServer.OtlpKey)]
    public async Task Caller_WithoutTheKey_Is401(string? key)
    {
        _server.Http.DefaultRequestHeaders.Remove(TelemetryApi.KeyHeader);
        if (key is not null) _server.Http.DefaultRequestHeaders.Add(TelemetryApi.KeyHeader, key);

        using var response = await _server.Http.GetAsync(Url("logs"), TestContext.Current.CancellationToken);

        Assert.Equal(HttpStatusCode.Unauthorized, response.StatusCode);
        Assert.DoesNotContain("hello", await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }

    private async Task<JsonElement> GetAsync(string path) => await _server.Http.GetFromJsonAsync<JsonElement>(Url(path), TestContext.Current.CancellationToken);

    private static Uri Url(string path) => new($"/api/telemetry/{path}", UriKind.Relative);
}
