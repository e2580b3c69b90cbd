using System.Net.Http.Json;
using System.Runtime.InteropServices;
using System.Text.Json;

namespace DistributedPatterns.Tests.Dashboard;

/// <summary>The real system with <c>Dashboard=external</c>: another receiver gets its telemetry, and none of our pages is there.</summary>
public sealed class ExternalDashboardTests
{
    private static readonly TimeSpan s_limit = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan s_pollEvery = TimeSpan.FromMilliseconds(200);

    [Fact]
    public async Task PipelineRun_IsOneTraceOfFourServicesWithItsLogsAndMetrics()
    {
        await using var machine = await MachineLock.TakeAsync(TestContext.Current.CancellationToken);
        using var limit = RunningSystem.Limit(s_limit);
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
        using var gateway = new HttpClient { BaseAddress = host.Url("gateway") };

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

        Assert.DoesNotContain("Login to the dashboard", host.Output, StringComparison.Ordinal);
        Assert.Empty(server.Problems.Lines);
        host.Signal(PosixSignal.SIGTERM, []);
        await host.ExitAsync(limit.Token);
    }

    private static HashSet<string> Services(JsonElement trace) =>
        [.. trace.GetProperty("resources").EnumerateObject().Select(resource => resource.Name[..resource.Name.LastIndexOf('-')])];

    private static async Task UntilAsync(Func<Task<bool>> holds, CancellationToken limit)
    {
        while (!await holds()) await Task.Delay(s_pollEvery, TimeProvider.System, limit);
    }
}
