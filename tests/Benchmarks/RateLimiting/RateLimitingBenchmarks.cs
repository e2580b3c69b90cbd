using System.Threading.RateLimiting;
using DistributedPatterns.Benchmarks.Harness;
using DistributedPatterns.RateLimiting;
using DistributedPatterns.Tests.Support;

namespace DistributedPatterns.Benchmarks.RateLimiting;

/// <summary>May I? What the answer costs, admitted and denied, in a process and from Redis.</summary>
internal static class RateLimitingBenchmarks
{
    private const string DotNet = ".NET TokenBucketRateLimiter";
    private const string Limit = "the limit: compare-and-swap on a coarse clock";
    private const string Bare = "RedisRateLimiting's token bucket, the bare script";

    // More is asked for than is earned, and the burst lasts for all rounds.
    private static readonly BucketOptions s_inUse = new() { Permits = 100_000, Burst = 1_000_000_000 };
    private static readonly BucketOptions s_atRest = new() { Permits = 1_000_000_000, Burst = 1_000_000_000 };
    private static readonly BucketOptions s_denies = new() { Permits = 1, Burst = 1, Period = TimeSpan.FromDays(1) };

    public static IReadOnlyList<IBenchmark> Create(RunSettings settings) =>
    [
        InProcess("admitted, one thread", 20_000_000, threads: 1, s_inUse),
        InProcess("admitted, two threads on one limit", 10_000_000, threads: 2, s_inUse),
        InProcess("admitted by a limit that is full again each time, one thread", 10_000_000, threads: 1, s_atRest),
        InProcess("denied, one thread", 10_000_000, threads: 1, s_denies),
        Keyed("one thread", threads: 1),
        Keyed("two threads", threads: 2),
        Across(RedisKind.Redis),
        Across(RedisKind.Garnet),
    ];

    private static Throughput InProcess(string what, int operations, int threads, BucketOptions rule)
    {
        var admits = rule != s_denies;
        List<Attempts> contenders =
        [
            new OneLimiter("ours, GCRA", operations, threads, admits, new LocalGcraRateLimiter(rule)),
            new OneLimiter("ours, token bucket", operations, threads, admits, new LocalTokenBucketRateLimiter(rule)),
            new OneLimiter(DotNet, operations, threads, admits, new TokenBucketRateLimiter(TokenBucket(rule))),
        ];
        if (admits) contenders.Add(new CompareAndSwap(Limit, operations, threads));
        return new Throughput($"Rate limiting in process, AttemptAcquire: {what}", "attempts", DotNet, contenders);
    }

    private static Throughput Keyed(string what, int threads)
    {
        const string Partitioned = ".NET PartitionedRateLimiter of token buckets";
        var rule = new BucketOptions { Permits = 1_000, Burst = 10_000_000 };
        return new Throughput($"Rate limiting in process, 1,000 keys, AttemptAcquire: admitted, {what}", "attempts", Partitioned,
        [
            new LimiterOfKeys("ours, keyed GCRA", 5_000_000, threads, new LocalKeyedRateLimiter<string>(rule)),
            new LimiterOfKeys(Partitioned, 5_000_000, threads, PartitionedRateLimiter.Create<string, string>(
                key => RateLimitPartition.GetTokenBucketLimiter(key, _ => TokenBucket(rule)))),
        ]);
    }

    private static Throughput Across(RedisKind kind)
    {
        var server = new SharedServices(kind);
        return new Throughput($"Rate limiting on {kind}: one limit, {RedisCallers.Count} callers of one process", "answers", Bare,
        [
            new OurGcra("ours, exact", 100_000, server),
            new OurGcra("ours, 1,000 permits borrowed at a time", 5_000_000, server, borrow: 1_000),
            new TokenBucketScript(Bare, 50_000, server),
            new Increment("INCR, no limit at all", 50_000, server),
        ]);
    }

    private static TokenBucketRateLimiterOptions TokenBucket(BucketOptions rule) => new()
    {
        TokenLimit = rule.Burst,
        TokensPerPeriod = rule.Permits,
        ReplenishmentPeriod = rule.Period,
        QueueLimit = 0,
    };
}
