using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;

namespace DistributedPatterns.Tests;

/// <summary>Pipelines through the real system, and the same answer when any of its processes dies or freezes in the middle.</summary>
public sealed class PipelineSystemTests(RunningSystem system) : IClassFixture<RunningSystem>, IAsyncLifetime
{
    private const int Copies = 15; // of the 1.9 MB file: enough for a run to be caught in the middle
    private readonly CancellationTokenSource _limit = RunningSystem.Limit(TimeSpan.FromSeconds(120));

    private static string InputFile => Path.Combine(AppContext.BaseDirectory, "inputs", "UnicodeData.txt");

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        if (TestContext.Current.TestState?.Result == TestResult.Failed)
            await system.WriteLogsAsync(line => TestContext.Current.TestOutputHelper?.WriteLine(line));
        _limit.Dispose();
    }

    [Theory]
    [InlineData("channel")]
    [InlineData("distributed")]
    public async Task Run_OfUnicodeData_GivesTheKnownNumbers(string variant)
    {
        using var gateway = system.App.CreateHttpClient("gateway", "http");
        using var accepted = await gateway.PostAsJsonAsync(
            $"/api/pipeline/{variant}/runs", new Dictionary<string, string> { ["pipeline"] = "unicode", ["input"] = "unicode-data" }, _limit.Token);
        Assert.Equal(HttpStatusCode.Accepted, accepted.StatusCode);

        var status = await WhenEndedAsync(gateway, accepted.Headers.Location!);

        AssertNumbers(status, copies: 1, diverted: 0);
        Assert.Equal(29, status.GetProperty("result").GetProperty("categories").GetInt32());
    }

    [Theory]
    [InlineData("worker")]
    [InlineData("reducer")]
    [InlineData("producer")]
    [InlineData("gateway")]
    [InlineData("redis-server")]
    public async Task Run_AProcessIsKilledInMidRun_GivesTheSameAnswer(string role)
    {
        var replicas = await system.HealthyReplicasAsync(role, _limit.Token);
        var (id, victim) = replicas.First();
        var run = await StartUploadAsync();

        RunningSystem.Kill(victim);

        await system.WaitAsync(id, e => RunningSystem.IsHealthy(e) && RunningSystem.Pid(e) != RunningSystem.Pid(victim), _limit.Token);
        using var gateway = system.App.CreateHttpClient("gateway", "http");
        AssertNumbers(await WhenEndedAsync(gateway, run), Copies, diverted: 1);
    }

    [Theory]
    [InlineData("worker")]
    [InlineData("reducer")]
    [InlineData("producer")]
    public async Task Run_AProcessIsFrozenInMidRun_GivesTheSameAnswer(string role)
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Windows has no SIGSTOP.");
        var victim = (await system.HealthyReplicasAsync(role, _limit.Token)).First().Value;
        var run = await StartUploadAsync();

        await RunningSystem.FreezeAsync(victim);
        try
        {
            // With one producer nobody takes the run over, so it goes on when that one thaws: after twice the lease.
            if (role == "producer") await Task.Delay(TimeSpan.FromSeconds(6), TimeProvider.System, _limit.Token);
            else await EndAsync(run);
        }
        finally
        {
            await RunningSystem.ThawAsync(victim);
        }

        using var gateway = system.App.CreateHttpClient("gateway", "http");
        AssertNumbers(await WhenEndedAsync(gateway, run), Copies, diverted: 1);
    }

    private async Task EndAsync(Uri run)
    {
        using var gateway = system.App.CreateHttpClient("gateway", "http");
        await WhenEndedAsync(gateway, run);
    }

    /// <summary>Uploads a file with one bad line and returns once its run is under way.</summary>
    private async Task<Uri> StartUploadAsync()
    {
        var text = new StringBuilder();
        var lines = await File.ReadAllTextAsync(InputFile, _limit.Token);
        for (var i = 0; i < Copies; i++) text.Append(lines);
        text.Append("not a record\n");

        using var gateway = system.App.CreateHttpClient("gateway", "http");
        using var body = new StringContent(text.ToString(), Encoding.UTF8, new MediaTypeHeaderValue("text/plain"));
        using var accepted = await gateway.PostAsync(new Uri("/api/pipeline/distributed/runs?pipeline=unicode", UriKind.Relative), body, _limit.Token);
        Assert.True(accepted.StatusCode == HttpStatusCode.Accepted, await accepted.Content.ReadAsStringAsync(_limit.Token));
        var run = accepted.Headers.Location!;
        while (true)
        {
            var status = await gateway.GetFromJsonAsync<JsonElement>(run, _limit.Token);
            if (status.GetProperty("ledger").GetProperty("done").GetInt64() > 0) return run;
            await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, _limit.Token);
        }
    }

    /// <summary>Asks for the run until it has ended. The gateway and Redis may be away for a moment, which is said and not hidden.</summary>
    private async Task<JsonElement> WhenEndedAsync(HttpClient gateway, Uri run)
    {
        while (true)
        {
            try
            {
                using var response = await gateway.GetAsync(new Uri($"{run}?wait=2s", UriKind.RelativeOrAbsolute), _limit.Token);
                if (response.StatusCode == HttpStatusCode.OK)
                {
                    var status = await response.Content.ReadFromJsonAsync<JsonElement>(_limit.Token);
                    if (status.GetProperty("state").GetString() is not ("Waiting" or "Running" or "Draining")) return status;
                }
                else
                {
                    Assert.Equal(HttpStatusCode.ServiceUnavailable, response.StatusCode);
                }
            }
            catch (HttpRequestException)
            {
                // The gateway was killed under the request.
            }
            await Task.Delay(TimeSpan.FromMilliseconds(100), TimeProvider.System, _limit.Token);
        }
    }

    private static void AssertNumbers(JsonElement status, int copies, int diverted)
    {
        Assert.True(status.GetProperty("state").GetString() == "Completed", status.GetRawText());
        var (ledger, result) = (status.GetProperty("ledger"), status.GetProperty("result"));
        Assert.Equal(34_924 * copies, result.GetProperty("records").GetInt32());
        Assert.Equal((34_924 * copies) + diverted, ledger.GetProperty("read").GetInt32());
        Assert.Equal(34_924 * copies, ledger.GetProperty("done").GetInt32());
        Assert.Equal(diverted, ledger.GetProperty("diverted").GetInt32());
        if (diverted > 0) Assert.Equal((34_924 * copies) + 1, status.GetProperty("diverted")[0].GetProperty("number").GetInt32());
        var byCategory = result.GetProperty("byCategory").EnumerateArray()
            .ToDictionary(row => row.GetProperty("category").GetString()!, row => row.GetProperty("records").GetInt32() / copies);
        Assert.Equal((17_273, 6_634, 2_233), (byCategory["Lo"], byCategory["So"], byCategory["Ll"]));
    }
}
