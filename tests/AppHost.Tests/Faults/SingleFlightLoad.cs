using System.Collections.Concurrent;
using System.Security.Cryptography;

namespace DistributedPatterns.Tests.Faults;

/// <summary>Bursts of clients, each on a key of its own: who has the same run's number has its answer, and each digest is the file's.</summary>
internal sealed class SingleFlightLoad(PatientClient client) : PatternLoad(client)
{
    private const string Flights = "/api/single-flight/distributed";
    private const string Input = "us-constitution.txt";
    private const int Callers = 20;

    private readonly ConcurrentDictionary<(string Key, long Fence), string> _runs = new();
    private int _bursts;

    public override async Task RunAsync(Task over, CancellationToken cancellationToken)
    {
        var digest = Convert.ToHexStringLower(SHA256.HashData(await File.ReadAllBytesAsync(Path.Combine(AppContext.BaseDirectory, "inputs", Input), cancellationToken)));
        while (Done < 5 || !over.IsCompleted)
        {
            var key = $"{Guid.NewGuid():N}";
            var fences = new ConcurrentBag<long>();
            await Clients(Callers, async _ =>
            {
                var reply = await Client.GetAsync($"{Flights}/keys/{key}?work=io:1s", cancellationToken);
                var (fence, run) = (reply.GetProperty("fence").GetInt64(), reply.GetProperty("run").GetString()!);
                Assert.Equal(run, _runs.GetOrAdd((key, fence), run));
                fences.Add(fence);
            });
            // Whoever was refused and asked again may have come after the first run, and then they share another.
            Assert.InRange(fences.Distinct().Count(), 1, Callers / 2);
            Interlocked.Increment(ref _bursts);

            var file = await Client.GetAsync($"{Flights}/digest?input={Input}", cancellationToken);
            Assert.Equal(digest, file.GetProperty("sha256").GetString());
            Count();
        }
    }

    public override async Task CheckAsync(string fault, CancellationToken cancellationToken)
    {
        // Only what makes requests come again makes them run again.
        if (fault is not ("gateway" or "redis-server")) Assert.InRange(_runs.Count, _bursts, _bursts * 2);
        var stats = await Client.GetAsync($"{Flights}/stats", cancellationToken);
        while (Of("waiting") + Of("running") > 0) // a run that lost its lease is cancelled, and then ends
        {
            await PauseAsync(50, cancellationToken);
            stats = await Client.GetAsync($"{Flights}/stats", cancellationToken);
        }
        Assert.Equal(Of("asked"), Of("led") + Of("joined") + Of("cached") + Of("failed") + Of("left") + Of("timedOut") + Of("refused"));
        Assert.Equal(Of("started"), Of("published") + Of("threw") + Of("cancelled") + Of("unpublished"));

        long Of(string name) => stats.GetProperty(name).GetInt64();
    }
}
