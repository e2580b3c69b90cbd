using System.Net;
using System.Text.Json;

namespace DistributedPatterns.Tests.Faults;

/// <summary>More users of pooled connections than permits, from before the fault until after it: every use that was answered is counted once, and no permit is lost.</summary>
/// <param name="pauseMilliseconds">How long a user waits from one use to the next.</param>
internal class ResourcePoolingLoad(PatientClient client, int pauseMilliseconds = 0) : PatternLoad(client)
{
    protected const string Path = "/api/resource-pooling/distributed";
    private const int Callers = 12;

    private int _used;
    private int _unknown;
    private long _before;

    public override async Task RunAsync(Task over, CancellationToken cancellationToken)
    {
        _before = (await StatsAsync(cancellationToken)).Max(process => process.GetProperty("uses").GetInt64());
        await Clients(Callers, async _ =>
        {
            while (!over.IsCompleted)
            {
                await UseAsync(cancellationToken);
                if (pauseMilliseconds > 0) await PauseAsync(pauseMilliseconds, cancellationToken);
            }
        });
        for (var used = _used; _used == used;) await UseAsync(cancellationToken);
    }

    public override async Task CheckAsync(string fault, CancellationToken cancellationToken)
    {
        var processes = await StatsAsync(cancellationToken);
        // A use without an answer may have been counted or not.
        Assert.InRange(processes.Max(process => process.GetProperty("uses").GetInt64()) - _before, _used, _used + _unknown + Client.Retries);
        foreach (var process in processes)
        {
            var pool = process.GetProperty("pool");
            var (ledger, permits) = (pool.GetProperty("ledger"), pool.GetProperty("permits"));
            Assert.Equal(Of(ledger, "acquired"), Of(ledger, "returned") + Of(ledger, "active"));
            Assert.Equal(Of(ledger, "opened"), Of(ledger, "open") + Of(ledger, "closed"));
            Assert.Equal(Of(permits, "granted"), Of(permits, "held") + Of(permits, "released") + Of(permits, "expired"));
            AssertIsWithinCap(process);
        }
    }

    protected static void AssertIsWithinCap(JsonElement process)
    {
        var permits = process.GetProperty("pool").GetProperty("permits");
        Assert.InRange(Of(permits, "held"), 0, Of(permits, "limit"));
    }

    private async Task UseAsync(CancellationToken cancellationToken)
    {
        // The worker that had it may die with it, or freeze: then nobody knows whether it was counted.
        HttpStatusCode[] wanted = [HttpStatusCode.OK, HttpStatusCode.Conflict, HttpStatusCode.ServiceUnavailable, HttpStatusCode.GatewayTimeout];
        var (status, _) = await Client.SendAsync(HttpMethod.Get, $"{Path}/?hold=10ms&timeout=5s", null, null, wanted, cancellationToken);
        if (status == HttpStatusCode.OK)
        {
            Interlocked.Increment(ref _used);
            Count();
        }
        else
        {
            Interlocked.Increment(ref _unknown);
            await PauseAsync(50, cancellationToken);
        }
    }

    protected async Task<JsonElement[]> StatsAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            // A worker that is on its way up is not among them yet.
            var processes = (await Client.GetAsync($"{Path}/stats", cancellationToken)).GetProperty("processes").EnumerateArray().ToArray();
            if (processes.Length > 0) return processes;
            await PauseAsync(100, cancellationToken);
        }
    }

    private static long Of(JsonElement element, string name) => element.GetProperty(name).GetInt64();
}
