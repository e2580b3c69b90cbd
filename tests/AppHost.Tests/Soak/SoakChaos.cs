using System.Collections.Concurrent;
using System.Diagnostics;

namespace DistributedPatterns.Tests.Soak;

/// <summary>Kills and freezes the system's processes, evenly over the soak, in an order drawn from its seed.</summary>
/// <remarks>It respects the AppHost's restart budget: a replica that died four times within a minute is spared, so that it is the AppHost that starts all of them again.</remarks>
internal sealed class SoakChaos(RunningSystem system, SoakOptions options, Action<string> log)
{
    private const int MostKillsAMinute = 4; // the AppHost gives up at the sixth in 60 s

    private readonly Random _random = new(options.Seed);
    private readonly Dictionary<string, Queue<long>> _deaths = [];
    private readonly HashSet<string> _frozen = [];
    private readonly List<Task> _thaws = [];

    /// <summary>Gets how often each thing was done: <c>kill worker</c>, <c>freeze worker</c> …</summary>
    public ConcurrentDictionary<string, int> Done { get; } = [];

    public int Count(string deed) => Done.GetValueOrDefault(deed);

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        string[] deeds =
        [
            .. Enumerable.Repeat("kill worker", options.WorkerKills), .. Enumerable.Repeat("freeze worker", options.Freezes),
            .. Enumerable.Repeat("kill reducer", options.ReducerKills), .. Enumerable.Repeat("freeze reducer", options.ReducerFreezes),
            .. Enumerable.Repeat("kill gateway", options.GatewayKills), .. Enumerable.Repeat("kill producer", options.ProducerKills),
            .. Enumerable.Repeat("kill redis-server", options.RedisKills),
        ];
        _random.Shuffle(deeds);
        var pause = options.Length * 0.9 / deeds.Length;
        foreach (var deed in deeds)
        {
            await Task.Delay(pause * (0.5 + _random.NextDouble()), TimeProvider.System, cancellationToken);
            var (what, role) = (deed.Split(' ')[0], deed.Split(' ')[1]);
            var (id, victim) = await VictimAsync(role, cancellationToken);
            Done[deed] = Done.GetValueOrDefault(deed) + 1;
            log($"{deed} {id}");
            if (what == "freeze")
            {
                await RunningSystem.FreezeAsync(victim);
                _frozen.Add(id);
                _thaws.Add(ThawAsync(id, victim));
            }
            else
            {
                _deaths[id].Enqueue(Stopwatch.GetTimestamp());
                RunningSystem.Kill(victim);
            }
        }
        await Task.WhenAll(_thaws);
    }

    /// <summary>Waits for a replica that is up, awake and within its budget.</summary>
    private async Task<(string Id, ResourceEvent Replica)> VictimAsync(string role, CancellationToken cancellationToken)
    {
        while (true)
        {
            var fit = (await system.PresentReplicasAsync(role)).Where(replica => RunningSystem.IsHealthy(replica.Value) && !_frozen.Contains(replica.Key) && HasBudget(replica.Key)).ToList();
            if (fit.Count > 0)
            {
                var (id, replica) = fit[_random.Next(fit.Count)];
                return (id, replica);
            }
            await Task.Delay(TimeSpan.FromMilliseconds(200), TimeProvider.System, cancellationToken);
        }
    }

    private bool HasBudget(string id)
    {
        if (!_deaths.TryGetValue(id, out var deaths)) _deaths.Add(id, deaths = []);
        while (deaths.TryPeek(out var oldest) && Stopwatch.GetElapsedTime(oldest) > TimeSpan.FromSeconds(65)) deaths.Dequeue();
        return deaths.Count < MostKillsAMinute;
    }

    private async Task ThawAsync(string id, ResourceEvent victim)
    {
        await Task.Delay(SoakSystem.Lease * 2, TimeProvider.System);
        await RunningSystem.ThawAsync(victim);
        lock (_frozen) _frozen.Remove(id);
    }
}
