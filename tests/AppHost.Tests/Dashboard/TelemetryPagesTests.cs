using Aspire.Hosting.Dashboard.Telemetry.Protocol;
using Microsoft.Playwright;
using static Microsoft.Playwright.Assertions;

namespace DistributedPatterns.Tests.Dashboard;

/// <summary>The pages in a real browser, on telemetry that is made here.</summary>
public sealed class TelemetryPagesTests : IAsyncLifetime
{
    private const string Hostile = "<img src=x onerror=console.error('run')>";

    private TelemetryServer _server = null!;
    private Browser _browser = null!;

    public async ValueTask InitializeAsync()
    {
        _browser = await Browser.StartAsync();
        _server = await TelemetryServer.StartAsync();
    }

    public async ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        await _browser.DisposeAsync();
        await _server.DisposeAsync();
    }

    [Fact]
    public async Task StructuredLogs_AreLiveFilteredAndPaused()
    {
        await LogAsync("first", 9);
        var page = await OpenAsync("structuredlogs");
        await Expect(page.GetByText("first")).ToBeVisibleAsync();

        await LogAsync("second", 17);
        await Expect(page.GetByText("second")).ToBeVisibleAsync(); // by itself

        await page.GetByRole(AriaRole.Button, new() { Name = "Pause" }).ClickAsync();
        await page.GetByRole(AriaRole.Button, new() { Name = "Resume" }).WaitForAsync();
        await LogAsync("third", 9);
        await Expect(page.GetByText("third")).ToHaveCountAsync(0);
        await page.GetByRole(AriaRole.Button, new() { Name = "Resume" }).ClickAsync();
        await Expect(page.GetByText("third")).ToBeVisibleAsync();

        page = await OpenAsync("structuredlogs?level=Error");
        await Expect(page.GetByText("second")).ToBeVisibleAsync();
        await Expect(page.GetByText("first")).ToHaveCountAsync(0);
        AssertNoErrors();
    }

    [Fact]
    public async Task WhatComesFromOutside_IsText()
    {
        var trace = Otlp.Id(16);
        var (log, span) = (Otlp.Log(Hostile), Otlp.Span(trace, Hostile));
        log.Attributes.Add(Otlp.Pair(Hostile, Hostile));
        span.Attributes.Add(Otlp.Pair(Hostile, Hostile));
        var from = Otlp.Process(Hostile, "x");
        await _server.SendAsync(Otlp.Logs(from, log));
        await _server.SendAsync(Otlp.Traces(from, span));
        var metric = Otlp.Counter(1, 1, AggregationTemporality.Delta, series: Hostile);
        (metric.Description, metric.Unit) = (Hostile, Hostile);
        await _server.SendAsync(Otlp.Metrics(from, metric));

        foreach (var path in new[] { "structuredlogs", "traces", $"traces/detail/{trace.Hex()}?spanId={span.SpanId.Hex()}", "metrics/resource/all/meter/Test/instrument/counter" })
        {
            var page = await OpenAsync(path);
            await Expect(page.GetByText(Hostile).First).ToBeVisibleAsync();
            Assert.Equal(0, await page.Locator("img").CountAsync());
        }

        AssertNoErrors();
    }

    [Fact]
    public async Task Trace_WithALinkedOne_ReadsOnAndLeadsThere()
    {
        var (request, job) = (Otlp.Id(16), Otlp.Id(16));
        var send = Otlp.Span(request, "POST /jobs");
        var work = Otlp.Span(job, "process jobs", start: 2);
        work.Links.Add(new Span.Types.Link { TraceId = request, SpanId = send.SpanId });
        work.Attributes.Add(Otlp.Pair("job.name", "sha256"));
        await _server.SendAsync(Otlp.Traces(Otlp.Process("gateway", "a"), send));
        await _server.SendAsync(Otlp.Traces(Otlp.Process("worker", "b"), work));

        var page = await OpenAsync("traces");
        await page.GetByText("POST /jobs").ClickAsync();
        await Expect(page.Locator(".waterfall .row")).ToHaveCountAsync(2);
        await page.Locator(".waterfall .linked .name").ClickAsync();
        await Expect(page.GetByText("sha256")).ToBeVisibleAsync();
        await page.GetByRole(AriaRole.Link, new() { Name = $"trace {job.Hex()[..7]}", Exact = true }).ClickAsync();
        await page.WaitForURLAsync($"**/traces/detail/{job.Hex()}*");
        await Expect(page.Locator(".waterfall .row")).ToHaveCountAsync(1);
        await page.GetByRole(AriaRole.Link, new() { Name = $"trace {request.Hex()[..7]}, span {send.SpanId.Hex()[..7]}" }).ClickAsync();
        await page.WaitForURLAsync($"**/traces/detail/{request.Hex()}*");
        AssertNoErrors();
    }

    private Task<ExportResponse> LogAsync(string message, int severity) => _server.SendAsync(Otlp.Logs(Otlp.Process("gateway", "a"), Otlp.Log(message, severity)));

    private Task<IPage> OpenAsync(string path) => _browser.OpenAsync(new(_server.Http.BaseAddress!, path));

    private void AssertNoErrors()
    {
        Assert.Empty(_browser.Errors);
        Assert.Empty(_server.Problems.Lines);
    }
}
