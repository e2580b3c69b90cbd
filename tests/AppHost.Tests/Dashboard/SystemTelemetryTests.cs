using System.Net.Http.Json;
using System.Runtime.InteropServices;
using System.Text.Json;
using static Microsoft.Playwright.Assertions;

namespace DistributedPatterns.Tests.Dashboard;

/// <summary>The telemetry of the real system, through the receiver to the pages.</summary>
public sealed class SystemTelemetryTests
{
    private static readonly TimeSpan s_limit = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan s_pollEvery = TimeSpan.FromMilliseconds(200);

    [Fact]
    public async Task PipelineRun_IsOneTraceOfFourServicesWithItsLogsAndMetrics()
    {
        using var limit = RunningSystem.Limit(s_limit);
        await using var machine = await MachineLock.TakeAsync(limit.Token);
        await using var browser = await Browser.StartAsync();
        await using var server = await TelemetryServer.StartAsync();
        await using var host = new AppHostProcess(
            new Dictionary<string, string>
            {
                ["Dashboard"] = "external",
                ["ASPIRE_DASHBOARD_OTLP_ENDPOINT_URL"] = server.OtlpUrl.ToString(),
                ["AppHost__OtlpApiKey"] = TelemetryServer.OtlpKey,
            },
            "--Gateway:Port=0");
        await host.HealthyAsync(limit.Token);
        using var gateway = new HttpClient { BaseAddress = Gateway(host.Output) };

        using var accepted = await gateway.PostAsJsonAsync(
            new Uri("/api/pipeline/distributed/runs", UriKind.Relative), new { pipeline = "unicode", input = "unicode-data" }, limit.Token);
        accepted.EnsureSuccessStatusCode();
        await gateway.GetStringAsync(new Uri($"{accepted.Headers.Location}?wait=30s", UriKind.RelativeOrAbsolute), limit.Token);

        // The spans come with the exporters' next batches, in any order.
        JsonElement trace = default;
        await UntilAsync(async () =>
        {
            var traces = await server.Http.GetFromJsonAsync<JsonElement>(new Uri("/api/telemetry/traces?search=pipeline run", UriKind.Relative), limit.Token);
            trace = traces.GetProperty("data").EnumerateArray().FirstOrDefault();
            return trace.ValueKind == JsonValueKind.Object && Services(trace).IsSupersetOf(["gateway", "producer", "worker", "reducer"]);
        }, limit.Token);
        var id = trace.GetProperty("traceId").GetString()!;
        await UntilAsync(() => Task.FromResult(server.Store.Logs.Snapshot().Any(log => log.TraceId == id && log.Resource.Name == "producer")), limit.Token);
        await UntilAsync(() => Task.FromResult(server.Store.Metrics.Series(null, "DistributedPatterns", "patterns.queue.depth").Count > 0), limit.Token);
        Assert.Equal(RunningSystem.Replicas.Keys.Except(["redis-server"]).Order(), server.Store.Resources().Select(r => r.Name).Distinct().Except(["redis-server"]).Order());
        Assert.Equal(0, server.Store.Refused);

        foreach (var (name, path, seen) in new[]
        {
            ("structuredlogs", "structuredlogs", "of unicode ended"), ("traces", "traces?search=pipeline%20run", "producer-"), ("trace", $"traces/detail/{id}", "pipeline run"),
            ("metrics", "metrics/resource/all/meter/DistributedPatterns/instrument/patterns.queue.depth", "Items in the queue, by state."),
            ("histogram", "metrics/resource/gateway/meter/Microsoft.AspNetCore.Hosting/instrument/http.server.request.duration", "Percentiles"),
        })
        {
            foreach (var (width, isDark) in new[] { (1280, false), (1280, true), (400, false), (400, true) })
            {
                var page = await browser.OpenAsync(new(server.Http.BaseAddress!, path), width, isDark);
                await Expect(page.GetByText(seen).First).ToBeVisibleAsync();
                if (Environment.GetEnvironmentVariable("SCREENSHOTS") is { } folder)
                    await page.ScreenshotAsync(new() { Path = Path.Combine(folder, $"{name}-{width}-{(isDark ? "dark" : "light")}.png") });
                Assert.True(await page.EvaluateAsync<bool>("document.documentElement.scrollWidth <= window.innerWidth"), $"{name} is wider than {width}.");
                if (name == "trace") Assert.Superset(new HashSet<string> { "gateway", "producer", "worker", "reducer" }, (await page.Locator(".waterfall .row").EvaluateAllAsync<string[]>("rows => rows.map(row => row.dataset.resource)")).ToHashSet());
                if (name == "metrics") Assert.NotEqual(0, await page.Locator("[data-testid=chart] circle").CountAsync());
                await page.CloseAsync();
            }
        }

        Assert.Empty(browser.Errors);
        Assert.Empty(server.Problems.Lines);
        host.Signal(PosixSignal.SIGTERM, []);
        await host.ExitAsync(limit.Token);
    }

    private static HashSet<string> Services(JsonElement trace) =>
        [.. trace.GetProperty("resources").EnumerateObject().Select(resource => resource.Name[..resource.Name.LastIndexOf('-')])];

    private static Uri Gateway(string table) => new(table.Split(Environment.NewLine)
        .Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries))
        .First(columns => columns is [_, "Running", ..] && columns[0].StartsWith("gateway-", StringComparison.Ordinal))[^1]);

    private static async Task UntilAsync(Func<Task<bool>> holds, CancellationToken limit)
    {
        while (!await holds()) await Task.Delay(s_pollEvery, TimeProvider.System, limit);
    }
}
