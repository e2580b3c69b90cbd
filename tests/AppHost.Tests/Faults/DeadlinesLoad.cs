using System.Globalization;
using System.Net;

namespace DistributedPatterns.Tests.Faults;

/// <summary>Budgets of every size over all services, most of them too small: whoever dies on the way, every caller is answered. How late those heard whose time was over is counted.</summary>
internal sealed class DeadlinesLoad(PatientClient client) : PatternLoad(client)
{
    private const string Path = "/api/deadlines/distributed";
    private const int Callers = 4;

    private (long Count, long Late) _gone; // of gateways that died
    private (long Count, long Late) _now;
    private int _spent;

    /// <summary>Gets how many callers heard after their deadline, how many of them more than 50 ms after it, and the longest time.</summary>
    public (long Count, long Late, TimeSpan Worst) Overruns => (_gone.Count + _now.Count, _gone.Late + _now.Late, Worst);

    /// <summary>Gets how many budgets were spent before the work was done.</summary>
    public int Spent => Volatile.Read(ref _spent);

    private TimeSpan Worst { get; set; }

    public override Task RunAsync(Task over, CancellationToken cancellationToken) => Task.WhenAll(Clients(Callers, async caller =>
    {
        var random = new Random(caller);
        while (!over.IsCompleted || Spent == 0)
        {
            // Three hops of 30 ms each; one of them may ignore its cancellation.
            var (status, _) = await Client.SendAsync(HttpMethod.Get, $"{Path}/?work=io:30ms&attempts=3&deaf={random.Next(1, 4)}", null, null,
                [HttpStatusCode.OK, HttpStatusCode.GatewayTimeout, HttpStatusCode.ServiceUnavailable], cancellationToken, random.Next(20, 150));
            if (status == HttpStatusCode.GatewayTimeout) Interlocked.Increment(ref _spent);
            Count();
            await PauseAsync(random.Next(50), cancellationToken);
        }
    }), WatchAsync(over, cancellationToken));

    public override Task CheckAsync(string fault, CancellationToken cancellationToken) => LookAsync(cancellationToken);

    // A gateway that dies takes its counts along.
    private async Task WatchAsync(Task over, CancellationToken cancellationToken)
    {
        while (!over.IsCompleted)
        {
            await LookAsync(cancellationToken);
            await PauseAsync(200, cancellationToken);
        }
    }

    private async Task LookAsync(CancellationToken cancellationToken)
    {
        var overruns = (await Client.GetAsync($"{Path}/stats", cancellationToken)).GetProperty("overruns");
        var now = (Count: overruns.GetProperty("count").GetInt64(), Late: overruns.GetProperty("late").GetInt64());
        var worst = TimeSpan.Parse(overruns.GetProperty("worst").GetString()!, CultureInfo.InvariantCulture);
        if (now.Count < _now.Count) _gone = (_gone.Count + _now.Count, _gone.Late + _now.Late);
        _now = now;
        if (worst > Worst) Worst = worst;
    }
}
