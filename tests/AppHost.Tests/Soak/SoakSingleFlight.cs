using System.Collections.Concurrent;
using DistributedPatterns.Tests.Faults;

namespace DistributedPatterns.Tests.Soak;

/// <summary>Rounds of many callers on a key of its own: one run and one answer for all of them, and one run more at most for each leader, or its Redis, that was killed.</summary>
/// <param name="client">Nobody else asks for flights: the gateway's counts are this load's.</param>
/// <param name="kills">How often a gateway or Redis was killed so far.</param>
internal sealed class SoakSingleFlight(PatientClient client, Func<(int Gateway, int Redis)> kills) : PatternLoad(client)
{
    private const string Flights = "/api/single-flight/distributed";
    private const int Callers = 20;
    private const int PauseMilliseconds = 1_000;

    /// <summary>Gets how many runs there were beyond one a round.</summary>
    public long Repeated { get; private set; }

    public override async Task RunAsync(Task over, CancellationToken cancellationToken)
    {
        var (earlier, before) = (kills(), kills());
        var started = await StartedAsync(cancellationToken);
        for (var round = 0; Done == 0 || !over.IsCompleted; round++)
        {
            var answers = new ConcurrentBag<(long Fence, string? Run)>();
            // Kept for longer than a gateway needs to be back: who has to ask again gets the answer that the others had.
            var path = $"{Flights}/keys/soak-{round}?work=io:300ms&ttl=2m";
            await Clients(Callers, async _ =>
            {
                var reply = await Client.GetAsync(path, cancellationToken);
                answers.Add((reply.GetProperty("fence").GetInt64(), reply.GetProperty("run").GetString()));
            });

            // A kill shows its effects for a while, so that one of the last round counts, too.
            var (now, runs) = (kills(), await StartedAsync(cancellationToken));
            var (gateways, servers) = (now.Gateway - earlier.Gateway, now.Redis - earlier.Redis);
            var ran = runs >= started ? runs - started : runs; // a gateway that began anew counts anew
            var distinct = answers.Distinct().Count();
            Assert.True(answers.Count == Callers && distinct <= 1 + servers, $"Round {round}: {distinct} answers for {answers.Count} callers, {servers} kills of Redis.");
            Assert.True(ran <= 1 + gateways + servers, $"Round {round}: {ran} runs, {gateways} kills of the gateway, {servers} of Redis.");
            Repeated += Math.Max(0, ran - 1);
            (earlier, before, started) = (before, now, runs);
            Count();
            await Task.WhenAny(over, PauseAsync(PauseMilliseconds, cancellationToken));
        }
    }

    public override async Task CheckAsync(string fault, CancellationToken cancellationToken)
    {
        var stats = await Client.GetAsync($"{Flights}/stats", cancellationToken);
        Assert.Equal(0, Of("waiting") + Of("running"));
        Assert.Equal(Of("asked"), Of("led") + Of("joined") + Of("cached") + Of("failed") + Of("left") + Of("timedOut") + Of("refused"));
        Assert.Equal(Of("started"), Of("published") + Of("threw") + Of("cancelled") + Of("unpublished"));

        long Of(string name) => stats.GetProperty(name).GetInt64();
    }

    private async Task<long> StartedAsync(CancellationToken cancellationToken) => (await Client.GetAsync($"{Flights}/stats", cancellationToken)).GetProperty("started").GetInt64();
}
