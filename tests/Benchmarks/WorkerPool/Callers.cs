using System.Diagnostics;
using DistributedPatterns.Benchmarks.Harness;

namespace DistributedPatterns.Benchmarks.WorkerPool;

/// <summary>64 callers, each of which submits a job, waits for its result and submits the next: what a pool costs from submit to result.</summary>
internal abstract class Callers(string name, int operations) : ThroughputContender(name, operations)
{
    public const int Count = 64;
    public const int Workers = 2;
    public const int Capacity = 1_024;

    public override async Task<TimeSpan?> RunAsync(int operations)
    {
        var since = Stopwatch.GetTimestamp();
        var sums = await Task.WhenAll(Enumerable.Range(0, Count).Select(caller => Task.Run(() => CallAsync(caller, operations))));
        var took = Stopwatch.GetElapsedTime(since);
        Check(sums.Sum(), operations);
        return took;
    }

    public static int Work(int x) => unchecked(x + 1);

    public static void Check(long sum, int operations)
    {
        var expected = (long)operations * (operations + 1) / 2;
        if (sum != expected) throw new InvalidOperationException($"{operations} jobs gave {sum} instead of {expected}.");
    }

    /// <summary>Runs the jobs number <paramref name="caller"/>, and every 64th from there.</summary>
    /// <returns>The sum of their results.</returns>
    protected abstract Task<long> CallAsync(int caller, int operations);
}
