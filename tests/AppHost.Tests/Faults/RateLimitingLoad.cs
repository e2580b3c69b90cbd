using System.Diagnostics;
using System.Net;

namespace DistributedPatterns.Tests.Faults;

/// <summary>More requests than the limit of a key admits, from before the fault until after it.</summary>
internal sealed class RateLimitingLoad(PatientClient client) : PatternLoad(client)
{
    // As the gateway has them when nothing is set.
    private const int Burst = 100;
    private const int PerSecond = 100;
    private const int Callers = 6;

    private readonly string _path = $"/api/rate-limiting/distributed?algorithm=gcra&key={Guid.NewGuid():N}";
    private TimeSpan _elapsed;
    private int _exact;
    private int _degraded;

    public override async Task RunAsync(Task over, CancellationToken cancellationToken)
    {
        var since = Stopwatch.GetTimestamp();
        await Clients(Callers, async _ =>
        {
            while (!over.IsCompleted) await AskAsync(20, cancellationToken);
        });
        // Redis may be back for a while before the limiter has noticed; then it counts there again.
        for (var exact = _exact; _exact == exact;) await AskAsync(100, cancellationToken);
        _elapsed = Stopwatch.GetElapsedTime(since);
    }

    public override async Task CheckAsync(string fault, CancellationToken cancellationToken)
    {
        var most = Burst + (PerSecond * _elapsed.TotalSeconds);
        Assert.InRange(_exact, 1, most);
        // While Redis is away, or too slow on a busy machine, the only gateway has the whole limit as its share; one that is started anew begins with a full one.
        Assert.InRange(_degraded, 0, fault == "gateway" ? most + Burst : most);
        var stats = await Client.GetAsync("/api/rate-limiting/distributed/stats", cancellationToken);
        Assert.All(stats.GetProperty("algorithms").EnumerateArray(), algorithm => Assert.Equal(
            algorithm.GetProperty("requests").GetInt64(),
            ((string[])["admitted", "denied", "never", "cancelled"]).Sum(name => algorithm.GetProperty(name).GetInt64())));
    }

    private async Task AskAsync(int pause, CancellationToken cancellationToken)
    {
        var (status, reply) = await Client.SendAsync(HttpMethod.Get, _path, null, null, [HttpStatusCode.OK, HttpStatusCode.TooManyRequests], cancellationToken);
        if (status == HttpStatusCode.OK)
        {
            if (reply.GetProperty("state").GetString() == "exact") Interlocked.Increment(ref _exact);
            else Interlocked.Increment(ref _degraded);
        }
        Count();
        await PauseAsync(pause, cancellationToken);
    }
}
