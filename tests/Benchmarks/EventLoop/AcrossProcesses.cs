using System.Diagnostics;
using DistributedPatterns.Benchmarks.Harness;
using DistributedPatterns.Diagnostics;
using DistributedPatterns.EventLoop;
using Microsoft.Extensions.DependencyInjection;

namespace DistributedPatterns.Benchmarks.EventLoop;

/// <summary><see cref="RedisEventLoop"/> with the partitions in a process of their own: from the first post until everything is handled and kept.</summary>
internal sealed class OurRedisLoop(string name, int operations, SharedServices shared, int posters, int each) : ThroughputContender(name, operations)
{
    private IEventLoop _loop = null!;

    public override async Task<string?> SetUpAsync()
    {
        _loop = (await shared.StartAsync()).Here.GetRequiredKeyedService<IEventLoop>(Variants.Distributed);
        return null;
    }

    public override ValueTask TearDownAsync() => shared.StopAsync();

    public override async Task<TimeSpan?> RunAsync(int operations)
    {
        var round = Guid.NewGuid().ToString("N");
        var posts = operations / each;
        var since = Stopwatch.GetTimestamp();
        await Task.WhenAll(Enumerable.Range(0, posters).Select(poster => Task.Run(async () =>
        {
            for (var post = poster; post < posts; post += posters) await _loop.PostAsync(LoopHandlers.Post($"{round}-{poster}", post * each, each));
        })));
        EventLoopStatus status;
        do status = await _loop.GetStatusAsync();
        while (status.Ledger.Waiting > 0);
        var took = Stopwatch.GetElapsedTime(since);
        var sum = 0L;
        for (var poster = 0; poster < posters; poster++) sum += LoopHandlers.Add.StateOf(await _loop.ReadAsync($"{round}-{poster}"))?.Value ?? 0;
        Events.Check(sum, posts * each);
        return status.Ledger.AddsUp ? took : throw new InvalidOperationException($"The ledger does not add up: {status.Ledger}.");
    }
}

/// <summary>The loop that all processes know.</summary>
internal static class RedisLoops
{
    public const string Role = "loop-worker";

    public static IServiceCollection AddLoopOfBenchmark(this IServiceCollection services) => services.AddLoopHandler(LoopHandlers.Add).AddRedisEventLoop(Configure);

    public static IServiceCollection AddLoopWorker(this IServiceCollection services) => services.AddLoopHandler(LoopHandlers.Add).AddRedisLoopRunner(Configure);

    private static void Configure(RedisEventLoopOptions options) => (options.Partitions, options.Capacity, options.BatchSize) = (4, 16_384, 500);
}
