using System.Globalization;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using DistributedPatterns.Tests.Support;

namespace DistributedPatterns.Tests.Gateway;

/// <summary>Far more callers than a cache stampede has, on two gateways that are processes of their own.</summary>
public sealed class SingleFlightCrowdTests(SharedRedis shared)
{
    private const int HangLimit = 180_000;
    private const int Callers = 10_000; // half of them at each gateway, a connection each
    private const string Flights = "/api/single-flight/distributed";

    private static CancellationToken TestStop => TestContext.Current.CancellationToken;

    [Fact(Timeout = HangLimit)]
    public async Task Get_ByTenThousandOverTwoGateways_IsOneRun()
    {
        Assert.SkipUnless(OpenFiles() > Callers + 2_000, $"A process may have {OpenFiles()} files open here, and each caller is one: raise it with ulimit -n.");
        var (server, tag) = (await shared.OfAsync(RedisKind.Garnet), SharedRedis.NewTag());
        await using var a = await StartAsync(server, tag);
        await using var b = await StartAsync(server, tag);
        GatewayProcess[] gateways = [a, b];

        // The run lasts until all have come, for connecting ten thousand takes a while; who is later than that gets what is kept.
        var leading = a.AskAsync("work=io:12s&ttl=10m");
        while ((await a.StatsAsync()).GetProperty("running").GetInt32() == 0) await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, TestStop);
        var replies = await Task.WhenAll(Enumerable.Range(1, Callers - 1).Select(i => gateways[i % 2].AskAsync("work=io:12s&ttl=10m")).Prepend(leading));

        Assert.Single(replies.Distinct());
        Assert.Equal((Callers / 2L, Callers / 2L), (await CountAsync(a, "asked"), await CountAsync(b, "asked")));
        Assert.Equal(1, await CountAsync(a, "started") + await CountAsync(b, "started"));

        static async Task<long> CountAsync(GatewayProcess gateway, string name) => (await gateway.StatsAsync()).GetProperty(name).GetInt64();
    }

    private static async Task<GatewayProcess> StartAsync(RedisBackend server, string tag)
    {
        var port = RedisBackend.FreePort();
        var process = await WatchedProcess.StartBuiltAsync("Gateway", new Dictionary<string, string>
        {
            ["ConnectionStrings__redis"] = server.ConnectionString,
            ["ASPNETCORE_URLS"] = string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{port}"),
            ["Members__Group"] = tag,
            ["Patterns__SingleFlight__Redis__KeyTag"] = tag,
            ["Patterns__SingleFlight__Redis__Lease"] = "00:00:30", // who serves thousands at once is not dead
            ["Logging__LogLevel__Default"] = "Warning",
        });
        var gateway = new GatewayProcess(process, port);
        await Eventually.TrueAsync(async () => await gateway.IsAliveAsync(), TimeSpan.FromSeconds(60), () => process.Output);
        return gateway;
    }

    private static long OpenFiles() => !OperatingSystem.IsLinux() ? 0 : long.Parse(
        File.ReadLines("/proc/self/limits").Single(line => line.StartsWith("Max open files", StringComparison.Ordinal)).Split(' ', StringSplitOptions.RemoveEmptyEntries)[3],
        CultureInfo.InvariantCulture);

    private sealed class GatewayProcess(WatchedProcess process, int port) : IAsyncDisposable
    {
        private readonly HttpClient _http = new() { BaseAddress = new UriBuilder("http", "127.0.0.1", port).Uri, Timeout = TimeSpan.FromMinutes(2) };

        public async Task<bool> IsAliveAsync()
        {
            try
            {
                using var response = await _http.GetAsync(new Uri("/alive", UriKind.Relative), TestStop);
                return response.IsSuccessStatusCode;
            }
            catch (HttpRequestException)
            {
                return false;
            }
        }

        public async Task<(string Run, long Fence)> AskAsync(string query)
        {
            using var response = await _http.GetAsync(new Uri($"{Flights}/keys/crowd?timeout=60s&{query}", UriKind.Relative), TestStop);
            Assert.True(response.StatusCode == HttpStatusCode.OK, await response.Content.ReadAsStringAsync(TestStop));
            var reply = await response.Content.ReadFromJsonAsync<JsonElement>(TestStop);
            return (reply.GetProperty("run").GetString()!, reply.GetProperty("fence").GetInt64());
        }

        public Task<JsonElement> StatsAsync() => _http.GetFromJsonAsync<JsonElement>($"{Flights}/stats", TestStop);

        public async ValueTask DisposeAsync()
        {
            _http.Dispose();
            await process.DisposeAsync();
        }
    }
}
