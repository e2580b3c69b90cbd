using DistributedPatterns.Benchmarks.Harness;
using DistributedPatterns.Tests.Support;

namespace DistributedPatterns.Benchmarks.SingleFlight;

/// <summary>What it costs that many who ask together cause one load: in a process, for a result that is kept, and over three processes.</summary>
internal static class SingleFlightBenchmarks
{
    private const string Limit = "the limit: a dictionary of TaskCompletionSources";
    private const string Fusion = "FusionCache";
    private const string Naive = "SET NX, then poll: not fenced, nobody takes over";

    public static IReadOnlyList<IBenchmark> Create(RunSettings settings) =>
    [
        new Throughput($"Singleflight in process: bursts of {Bursts.Callers} callers on one key, one load each", "calls", Limit,
        [
            new OurBursts("ours (TaskSingleFlight)", 200_000),
            new CompletionSourceBursts(Limit, 200_000),
            new HybridBursts("HybridCache", 200_000),
            new FusionBursts(Fusion, 200_000),
        ]),
        new Throughput("Singleflight in process: a result that is kept", "calls", Fusion,
        [
            new OurHits("ours (TaskSingleFlight)", 5_000_000),
            new HybridHits("HybridCache", 1_000_000),
            new FusionHits(Fusion, 1_000_000),
        ]),
        Across(RedisKind.Redis),
        Across(RedisKind.Garnet),
    ];

    private static Throughput Across(RedisKind kind)
    {
        var server = new SharedServices(kind);
        return new Throughput(
            $"Singleflight on {kind}: bursts of {RedisBursts.Callers} callers on one key in each of {RedisBursts.Processes} processes, {RedisBursts.AtATime} bursts at a time, one load each", "bursts", Naive,
        [
            new OurRedisBursts("ours (RedisSingleFlight)", 3_000, server),
            new NaiveBursts(Naive, 3_000, server),
        ]);
    }
}
