using System.Diagnostics;
using DistributedPatterns.Benchmarks.Harness;
using DistributedPatterns.Diagnostics;
using DistributedPatterns.WorkerPool;
using Microsoft.Extensions.DependencyInjection;

namespace DistributedPatterns.Benchmarks.WorkerPool;

/// <summary><see cref="RedisWorkerPool"/> with workers in processes of their own: at least once, acknowledged with the result.</summary>
internal abstract class OurRedisPool(string name, int operations, SharedServices shared) : ThroughputContender(name, operations)
{
    protected IWorkerPool Pool { get; private set; } = null!;

    public override async Task<string?> SetUpAsync()
    {
        Pool = (await shared.StartAsync()).Here.GetRequiredKeyedService<IWorkerPool>(Variants.Distributed);
        return null;
    }

    public override ValueTask TearDownAsync() => shared.StopAsync();
}

/// <summary>Callers that wait for each result before they submit the next job.</summary>
internal sealed class SubmitToResult(string name, int operations, SharedServices shared, int callers) : OurRedisPool(name, operations, shared)
{
    public override async Task<TimeSpan?> RunAsync(int operations)
    {
        var since = Stopwatch.GetTimestamp();
        var sums = await Task.WhenAll(Enumerable.Range(0, callers).Select(caller => Task.Run(async () =>
        {
            var sum = 0L;
            for (var x = caller; x < operations; x += callers) sum += await (await Pool.SubmitAsync(RedisPoolJobs.Work, x)).ResultAsync();
            return sum;
        })));
        var took = Stopwatch.GetElapsedTime(since);
        Callers.Check(sums.Sum(), operations);
        return took;
    }
}

/// <summary>As many jobs as the pool takes, until the last one is acknowledged.</summary>
internal sealed class SubmitAndForget(string name, int operations, SharedServices shared, int callers) : OurRedisPool(name, operations, shared)
{
    public override async Task<TimeSpan?> RunAsync(int operations)
    {
        var before = (await Pool.GetSnapshotAsync()).Ledger.Done;
        var since = Stopwatch.GetTimestamp();
        await Task.WhenAll(Enumerable.Range(0, callers).Select(caller => Task.Run(async () =>
        {
            for (var x = caller; x < operations; x += callers) await Pool.SubmitAsync(RedisPoolJobs.Work, x);
        })));
        JobLedger ledger;
        do ledger = (await Pool.GetSnapshotAsync()).Ledger;
        while (ledger.Queued + ledger.Running > 0);
        var took = Stopwatch.GetElapsedTime(since);
        return ledger.Done - before == operations && ledger.AddsUp ? took : throw new InvalidOperationException($"{operations} jobs gave {ledger}, {before} of them before.");
    }
}

/// <summary>One caller, one job after the other.</summary>
internal sealed class LoneJob(string name, int samples, SharedServices shared) : LatencyContender(name, samples)
{
    private IWorkerPool? _pool;

    public override async Task<string?> SetUpAsync()
    {
        _pool = (await shared.StartAsync()).Here.GetRequiredKeyedService<IWorkerPool>(Variants.Distributed);
        return null;
    }

    public override async Task<double[]> SampleAsync(int samples)
    {
        var took = new double[samples];
        for (var i = 0; i < samples; i++)
        {
            var since = Stopwatch.GetTimestamp();
            await (await _pool!.SubmitAsync(RedisPoolJobs.Work, i)).ResultAsync();
            took[i] = Stopwatch.GetElapsedTime(since).TotalMicroseconds;
        }
        return took;
    }

    public override ValueTask TearDownAsync() => shared.StopAsync();
}

/// <summary>The job that all processes know.</summary>
internal static class RedisPoolJobs
{
    public static JobDefinition<int, int> Work { get; } =
        new("work", static (x, _, _) => new(Callers.Work(x)), WorkerPoolJson.Default.Int32, WorkerPoolJson.Default.Int32);

    public static IServiceCollection AddPool(this IServiceCollection services) => services.AddJob(_ => Work).AddRedisWorkerPool(Configure);

    public static IServiceCollection AddPoolWorkers(this IServiceCollection services) => services.AddJob(_ => Work).AddRedisWorkers(Configure);

    // Workers that have nothing to do but to take and to tell should take many at a time.
    private static void Configure(RedisWorkerPoolOptions options) => (options.Size, options.Capacity, options.KeepEnded) = (128, 16_384, 200_000);
}
