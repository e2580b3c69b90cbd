using System.Diagnostics;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json;

namespace DistributedPatterns.Tests;

/// <summary>One budget through gateway, producer, worker and reducer of the real system.</summary>
public sealed class DeadlineSystemTests(RunningSystem system) : IClassFixture<RunningSystem>, IAsyncLifetime
{
    private const string Path = "/api/deadlines/distributed";

    private readonly CancellationTokenSource _limit = RunningSystem.Limit(TimeSpan.FromSeconds(120));

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        if (TestContext.Current.TestState?.Result == TestResult.Failed)
            await system.WriteLogsAsync(line => TestContext.Current.TestOutputHelper?.WriteLine(line));
        _limit.Dispose();
    }

    [Fact]
    public async Task Get_ThroughAllServices_SaysWhatEachUsed()
    {
        using var gateway = system.App.CreateHttpClient("gateway", "http");

        var reply = await gateway.GetFromJsonAsync<JsonElement>($"{Path}/?hops=3&work=io:20ms", _limit.Token);

        var hops = reply.GetProperty("hops").EnumerateArray().ToArray();
        Assert.Equal(["producer", "worker", "reducer"], hops.Select(hop => hop.GetProperty("process").GetString()!.Split('-')[0]));
        var budgets = hops.Select(hop => hop.GetProperty("budgetMs").GetDouble()).ToArray();
        Assert.Equal(budgets.OrderDescending(), budgets);
    }

    [Fact]
    public async Task Get_WhoseClientLeaves_EndsAtTheLastHopWithin100Milliseconds()
    {
        using var gateway = system.App.CreateHttpClient("gateway", "http");
        gateway.DefaultRequestHeaders.Add("Request-Timeout-Ms", "60000");
        var (took, limit) = (TimeSpan.MaxValue, TimeSpan.FromMilliseconds(100));

        // What is measured is the cancellation's way and a look at all reducers; a busy machine holds up either.
        for (var attempt = 0; attempt < 50 && took > limit; attempt++) took = await LeaveAsync(gateway);

        Assert.True(took <= limit, $"The last hop was seen to end after {took.TotalMilliseconds} ms at best.");
    }

    [Fact]
    public async Task Get_WhoseBudgetIsSpent_IsAnsweredWithin50MillisecondsOfIt()
    {
        using var gateway = system.App.CreateHttpClient("gateway", "http");
        await SpendAsync(gateway, 20); // what runs for the first time takes longer

        // Some hop ignores its cancellation each time. A busy machine can hold up any of them, but not all.
        var late = long.MaxValue;
        for (var attempt = 0; attempt < 10 && late > 0; attempt++)
        {
            var before = await OverrunsAsync(gateway);
            await SpendAsync(gateway, 25);
            var after = await OverrunsAsync(gateway);
            Assert.True(after.Count > before.Count, "All heard before their deadline: nothing was measured.");
            late = after.Late - before.Late;
        }

        Assert.True(late == 0, $"{late} of 25 callers heard late.");
    }

    [Fact]
    public async Task Get_WhenTheLastHopIsKilled_IsTriedAgainInsideTheBudget()
    {
        using var gateway = system.App.CreateHttpClient("gateway", "http");
        // A budget for two whole attempts and a busy machine; what is tested is that one that died leaves room for another.
        gateway.DefaultRequestHeaders.Add("Request-Timeout-Ms", "60000");
        var reducers = await system.HealthyReplicasAsync("reducer", _limit.Token);
        await QuietAsync(gateway);
        var request = gateway.GetAsync(new Uri($"{Path}/?hops=3&last=io:15s&attempts=10", UriKind.Relative), _limit.Token);
        string? busy = null;
        while (busy is null)
        {
            Assert.False(request.IsCompleted, "The request ended before it came to its last hop.");
            busy = (await ProcessesAsync(gateway)).Where(process => IsReducer(process) && process.GetProperty("running").GetInt64() > 0)
                .Select(process => process.GetProperty("process").GetString()).FirstOrDefault();
        }

        RunningSystem.Kill(reducers[busy]);

        using var response = await request;
        Assert.True(response.StatusCode == HttpStatusCode.OK, await response.Content.ReadAsStringAsync(_limit.Token));
        var last = (await response.Content.ReadFromJsonAsync<JsonElement>(_limit.Token)).GetProperty("hops").EnumerateArray().Last();
        Assert.True(last.GetProperty("attempt").GetInt32() > 1, last.ToString());
    }

    private async Task<TimeSpan> LeaveAsync(HttpClient gateway)
    {
        using var client = new CancellationTokenSource();
        await QuietAsync(gateway);
        var before = await ReducersAsync(gateway, "caller");

        var leaving = gateway.GetAsync(new Uri($"{Path}/?hops=3&last=io:60s", UriKind.Relative), client.Token);
        while (await ReducersAsync(gateway, "running") == 0) Assert.False(leaving.IsCompleted, "The request ended before it came to its last hop.");
        var since = Stopwatch.GetTimestamp();
        await client.CancelAsync();

        await QuietAsync(gateway);
        var took = Stopwatch.GetElapsedTime(since);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => leaving);
        Assert.Equal(before + 1, await ReducersAsync(gateway, "caller"));
        return took;
    }

    /// <summary>Waits until no reducer runs anything: a caller may have its answer before the last hop is through.</summary>
    private async Task QuietAsync(HttpClient gateway)
    {
        while (await ReducersAsync(gateway, "running") > 0) _limit.Token.ThrowIfCancellationRequested();
    }

    private async Task SpendAsync(HttpClient gateway, int budgets)
    {
        for (var number = 0; number < budgets; number++)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, $"{Path}/?hops={(number % 3) + 1}&last=io:1s&deaf={(number % 3) + 1}");
            request.Headers.Add("Request-Timeout-Ms", $"{20 + (2 * number)}");
            using var response = await gateway.SendAsync(request, _limit.Token);
            Assert.Equal(HttpStatusCode.GatewayTimeout, response.StatusCode);
        }
    }

    private async Task<(long Count, long Late)> OverrunsAsync(HttpClient gateway)
    {
        var overruns = (await gateway.GetFromJsonAsync<JsonElement>($"{Path}/stats", _limit.Token)).GetProperty("overruns");
        return (overruns.GetProperty("count").GetInt64(), overruns.GetProperty("late").GetInt64());
    }

    private static bool IsReducer(JsonElement process) => process.GetProperty("process").GetString()!.StartsWith("reducer", StringComparison.Ordinal);

    private async Task<long> ReducersAsync(HttpClient gateway, string field)
    {
        while (true)
        {
            // Who does not answer at once is left out.
            var reducers = (await ProcessesAsync(gateway)).Where(IsReducer).ToArray();
            if (reducers.Length == RunningSystem.Replicas["reducer"]) return reducers.Sum(process => process.GetProperty(field).GetInt64());
        }
    }

    private async Task<JsonElement[]> ProcessesAsync(HttpClient gateway) =>
        [.. (await gateway.GetFromJsonAsync<JsonElement>($"{Path}/stats", _limit.Token)).GetProperty("processes").EnumerateArray()];
}
