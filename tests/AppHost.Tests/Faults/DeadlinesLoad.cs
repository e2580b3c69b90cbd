using System.Net;

namespace DistributedPatterns.Tests.Faults;

/// <summary>Budgets of every size over all services, most of them too small: whoever dies on the way, the caller hears in time.</summary>
internal sealed class DeadlinesLoad(PatientClient client) : PatternLoad(client)
{
    private const string Path = "/api/deadlines/distributed";
    private const int Callers = 4;
    private const int MostOverrunMs = 50;

    private double _worstOverrunMs;
    private int _spent;

    /// <summary>Gets the longest time after a deadline at which a caller heard, as the gateways measured it.</summary>
    public double WorstOverrunMs => Volatile.Read(ref _worstOverrunMs);

    /// <summary>Gets how many budgets were spent before the work was done.</summary>
    public int Spent => Volatile.Read(ref _spent);

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

    public override async Task CheckAsync(string fault, CancellationToken cancellationToken)
    {
        await LookAsync(cancellationToken);
        Assert.True(WorstOverrunMs <= MostOverrunMs, $"A caller heard {WorstOverrunMs} ms after its deadline.");
    }

    // A gateway that dies takes its measurements along.
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
        var worst = (await Client.GetAsync($"{Path}/stats", cancellationToken)).GetProperty("worstOverrunMs").GetDouble();
        _worstOverrunMs = Math.Max(_worstOverrunMs, worst);
    }
}
