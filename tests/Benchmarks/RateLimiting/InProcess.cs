using System.Globalization;
using System.Threading.RateLimiting;
using DistributedPatterns.Benchmarks.Harness;

namespace DistributedPatterns.Benchmarks.RateLimiting;

/// <summary>Threads that ask without waiting, as fast as they can; all must be admitted, or all but the first denied.</summary>
internal abstract class Attempts(string name, int operations, int threads, bool admits) : ThroughputContender(name, operations)
{
    public override async Task<TimeSpan?> RunAsync(int operations)
    {
        var each = operations / threads;
        var admitted = (await Task.WhenAll(Enumerable.Range(0, threads).Select(thread =>
            Task.Factory.StartNew(() => Admitted(thread, each), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default)))).Sum();
        // The one permit of a limit that denies may have been had in an earlier round.
        if (admits ? admitted != each * threads : admitted > 1) throw new InvalidOperationException($"{Name}: {admitted} of {each * threads} were admitted.");
        return null;
    }

    /// <summary>Asks so many times.</summary>
    /// <returns>How many were admitted.</returns>
    protected abstract int Admitted(int thread, int attempts);
}

/// <summary>One limiter for all.</summary>
internal sealed class OneLimiter(string name, int operations, int threads, bool admits, RateLimiter limiter) : Attempts(name, operations, threads, admits)
{
    public override ValueTask TearDownAsync() => limiter.DisposeAsync();

    protected override int Admitted(int thread, int attempts)
    {
        var admitted = 0;
        for (var i = 0; i < attempts; i++)
        {
            using var lease = limiter.AttemptAcquire();
            if (lease.IsAcquired) admitted++;
        }
        return admitted;
    }
}

/// <summary>A limit for each of a thousand keys.</summary>
internal sealed class LimiterOfKeys(string name, int operations, int threads, PartitionedRateLimiter<string> limiter) : Attempts(name, operations, threads, admits: true)
{
    private readonly string[] _keys = [.. Enumerable.Range(0, 1_000).Select(i => string.Create(CultureInfo.InvariantCulture, $"tenant-{i}"))];

    public override ValueTask TearDownAsync() => limiter.DisposeAsync();

    protected override int Admitted(int thread, int attempts)
    {
        var admitted = 0;
        var next = thread * _keys.Length / 2;
        for (var i = 0; i < attempts; i++)
        {
            using var lease = limiter.AttemptAcquire(_keys[next]);
            if (lease.IsAcquired) admitted++;
            if (++next == _keys.Length) next = 0;
        }
        return admitted;
    }
}

/// <summary>The limit: one compare-and-swap on a clock that ticks with the timer, no lease, no counts.</summary>
internal sealed class CompareAndSwap(string name, int operations, int threads) : Attempts(name, operations, threads, admits: true)
{
    private const long Burst = 1_000_000_000_000;

    private long _paidAt;

    protected override int Admitted(int thread, int attempts)
    {
        var admitted = 0;
        for (var i = 0; i < attempts; i++)
            if (TryTake()) admitted++;
        return admitted;
    }

    private bool TryTake()
    {
        while (true)
        {
            var (now, paidAt) = (Environment.TickCount64, Volatile.Read(ref _paidAt));
            var next = Math.Max(now, paidAt) + 1;
            if (next - now > Burst) return false;
            if (Interlocked.CompareExchange(ref _paidAt, next, paidAt) == paidAt) return true;
        }
    }
}
