using System.Diagnostics;
using System.Net.Http.Json;
using System.Text.Json;
using DistributedPatterns.Tests.Faults;

namespace DistributedPatterns.Tests.Soak;

/// <summary>Many jobs through the real system, words of 200 MB counted, budgets spent, supervised children that count, messages to subscribers, shared flights, events in order and lent connections, while its processes are killed and frozen, for minutes; not part of a normal test run.</summary>
/// <remarks>
/// <code>dotnet run --project tests/AppHost.Tests -- -explicit only -class '*Soak*' -showLiveOutput</code>
/// 10 minutes, or <c>SOAK_MINUTES</c>; <c>SOAK_SEED</c> repeats the order of a run that failed.
/// </remarks>
public sealed class SoakTests(SoakSystem system, ITestOutputHelper output) : IClassFixture<SoakSystem>
{
    [Fact(Explicit = true)]
    public async Task Jobs_WhileProcessesDieAndFreeze_EachCountsOnceAndNoneIsLost()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Windows has no SIGSTOP.");
        var options = SoakOptions.Read();
        var clock = Stopwatch.StartNew();
        void Log(string line) => output.WriteLine($"{clock.Elapsed:mm\\:ss} {line}");
        Log($"{options.Jobs:N0} jobs in {options.Length.TotalMinutes} minutes, SOAK_SEED={options.Seed}");

        // What is accepted ends; if not within twice the time, it hangs.
        using var limit = RunningSystem.Limit(options.Length * 2 + TimeSpan.FromMinutes(2));
        var load = new SoakLoad(() => system.App.CreateHttpClient("gateway", "http"), options);
        var chaos = new SoakChaos(system, options, Log);
        using var onlooker = new PatientClient(system);
        var (children, budgets, words) = (new SupervisionLoad(onlooker), new DeadlinesLoad(onlooker), new SoakMapReduce(onlooker));
        using var users = new PatientClient(system); // of pools: what was sent again may have been counted
        var topics = new SoakPublishSubscribe(onlooker);
        var flights = new SoakSingleFlight(onlooker, () => (chaos.Count("kill gateway"), chaos.Count("kill redis-server")));
        var (events, pools) = (new EventLoopLoad(onlooker, pauseMilliseconds: 2_000), new SoakResourcePooling(users));
        PatternLoad[] others = [children, budgets, words, topics, flights, events, pools];
        var checkpoints = new HashSet<string>();
        using var over = CancellationTokenSource.CreateLinkedTokenSource(limit.Token);
        var watching = WatchAsync(over.Token);
        try
        {
            using (var http = system.App.CreateHttpClient("gateway", "http")) await words.PutInputAsync(http, limit.Token);
            var soaking = Task.WhenAll(load.RunAsync(limit.Token), chaos.RunAsync(limit.Token));
            await Task.WhenAll([soaking, .. others.Select(other => other.RunAsync(soaking, limit.Token))]);
        }
        finally
        {
            await over.CancelAsync();
            await watching;
            Report();
        }

        // Not one more settlement is on its way: who was frozen last has found out by now.
        await Task.Delay(SoakSystem.Lease, TimeProvider.System, limit.Token);
        using var gateway = system.App.CreateHttpClient("gateway", "http");
        var stats = await gateway.GetFromJsonAsync<JsonElement>("/api/worker-pool/distributed/stats", limit.Token);
        var (ledger, counters) = (stats.GetProperty("ledger"), stats.GetProperty("counters"));
        Log($"the pool's ledger: {ledger}, {counters}");

        foreach (var other in others) await other.CheckAsync("soak", limit.Token);
        Assert.True(budgets.Overruns.Late * 100 <= budgets.Overruns.Count, $"{budgets.Overruns.Late} of {budgets.Overruns.Count} callers heard more than 50 ms late.");
        Assert.True(events.Takeovers > 0, "no partition had a new owner: no hand-over of events was put to the test");
        Assert.Empty(load.Faults);
        Assert.Equal(options.Jobs, load.Accepted);
        Assert.Equal(load.Accepted, load.Done + load.Dead);
        Assert.Equal(
            (load.Accepted, load.Done, load.Dead, 0, 0, 0, 0),
            (Count(ledger, "submitted"), Count(ledger, "done"), Count(ledger, "dead"), Count(ledger, "failed"), Count(ledger, "cancelled"), Count(ledger, "queued"), Count(ledger, "running")));
        Assert.True(Count(counters, "expired") > 0, "no lease ran out: nothing was put to the test");
        Assert.True(Count(counters, "fenced") > 0, "no stale settlement came: no fence was put to the test");
        Assert.Equal((options.WorkerKills, options.Freezes, options.ReducerKills, options.ReducerFreezes, options.RedisKills),
            (chaos.Done["kill worker"], chaos.Done["freeze worker"], chaos.Done["kill reducer"], chaos.Done["freeze reducer"], chaos.Done["kill redis-server"]));
        Assert.True(checkpoints.Count > 0 || options.Length < TimeSpan.FromMinutes(3), "the log was never cut: no recovery from a checkpoint was put to the test");

        async Task WatchAsync(CancellationToken stop)
        {
            using var timer = new PeriodicTimer(TimeSpan.FromSeconds(1), TimeProvider.System);
            try
            {
                for (var second = 1; await timer.WaitForNextTickAsync(stop); second++)
                {
                    checkpoints.UnionWith(system.Checkpoints());
                    if (second % 15 == 0) Log($"accepted {load.Accepted:N0}, done {load.Done:N0}, dead {load.Dead:N0}, sent again {load.Retries:N0}, faults {load.Faults.Count}");
                }
            }
            catch (OperationCanceledException)
            {
                // The soak is over.
            }
        }

        void Report()
        {
            Log(string.Join(", ", chaos.Done.Select(deed => $"{deed.Key} {deed.Value}")) + $", checkpoints {checkpoints.Count}");
            Log($"200 MB counted {words.Done} times, {words.Repeated} tasks again; {budgets.Done:N0} budgets, {budgets.Spent:N0} of them spent; {budgets.Overruns.Late:N0} of {budgets.Overruns.Count:N0} heard more than 50 ms late, the worst {budgets.Overruns.Worst.TotalMilliseconds:F1} ms");
            Log($"{topics.Done:N0} messages: received {topics.Sum.Received:N0}, dropped {topics.Sum.Dropped:N0}, gap {topics.Sum.Gap:N0}; {flights.Done:N0} rounds of flights, {flights.Repeated:N0} runs again; {events.Done:N0} posts of events, {events.Takeovers:N0} new owners; {pools.Done:N0} uses of pools");
            Log($"accepted {load.Accepted:N0} = done {load.Done:N0} + dead {load.Dead:N0}; requests sent again {load.Retries:N0}");
            foreach (var fault in load.Faults.Take(20)) Log(fault);
        }
    }

    private static int Count(JsonElement counts, string name) => counts.GetProperty(name).GetInt32();
}
