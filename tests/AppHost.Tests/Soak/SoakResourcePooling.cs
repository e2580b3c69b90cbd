using System.Collections.Concurrent;
using System.Net;
using DistributedPatterns.Tests.Faults;

namespace DistributedPatterns.Tests.Soak;

/// <summary>Users of pooled connections all the time, and at the end as many at once as there are permits: each gets one of its own, so none was lost.</summary>
internal sealed class SoakResourcePooling(PatientClient client) : ResourcePoolingLoad(client, pauseMilliseconds: 1_000)
{
    public override async Task RunAsync(Task over, CancellationToken cancellationToken)
    {
        var running = base.RunAsync(over, cancellationToken);
        while (!running.IsCompleted)
        {
            foreach (var process in await StatsAsync(cancellationToken)) AssertIsWithinCap(process);
            await Task.WhenAny(running, PauseAsync(1_000, cancellationToken));
        }
        await running;
    }

    public override async Task CheckAsync(string fault, CancellationToken cancellationToken)
    {
        await base.CheckAsync(fault, cancellationToken);
        var limit = (await StatsAsync(cancellationToken))[0].GetProperty("pool").GetProperty("permits").GetProperty("limit").GetInt32();
        var permits = new ConcurrentBag<int>();
        // Whoever has to wait for another's permit has no time left to hold it.
        await Clients(limit, async _ =>
        {
            var (_, use) = await Client.SendAsync(HttpMethod.Get, $"{Path}/?hold=6s&timeout=11s", null, null, [HttpStatusCode.OK], cancellationToken);
            permits.Add(use.GetProperty("permit").GetInt32());
        });
        Assert.Equal(limit, permits.Distinct().Count());
    }
}
