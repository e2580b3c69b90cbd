using DistributedPatterns.Benchmarks.Harness;
using DistributedPatterns.Tests.Support;

namespace DistributedPatterns.Benchmarks.Supervision;

/// <summary>What being supervised costs while all is well, how fast a child is up again, and how long nobody runs it when its process has died.</summary>
internal static class SupervisionBenchmarks
{
    private const string Loop = "the limit: a loop around try";
    private const string Clock = "reading the clock, nothing else";
    private const string Bare = "HSET, not fenced";

    public static IReadOnlyList<IBenchmark> Create(RunSettings settings) =>
    [
        new Throughput("Supervision in process: a child throws and is started again, no pause", "restarts", Loop,
        [
            new OurRestarts("ours (TaskSupervisor)", 200_000),
            new PollyRetry("Polly retry", 200_000),
            new BareLoop(Loop, 200_000),
        ]),
        new Throughput("Supervision in process: a sign of life", "signs", Clock,
        [
            new Beats("ours (Beat)", 20_000_000),
            new ClockReads(Clock, 20_000_000),
        ]),
        Across(RedisKind.Redis),
        Across(RedisKind.Garnet),
        new Latency($"From the last sign of a process to the start of its child in another one, on Garnet; lease {TakeOver.Lease.TotalMilliseconds:0} ms, poll {TakeOver.PollEvery.TotalMilliseconds:0} ms",
            [new TakeOver("ours", 20, new SharedServices(RedisKind.Garnet))]),
    ];

    private static Throughput Across(RedisKind kind)
    {
        var server = new SharedServices(kind);
        return new Throughput($"Supervision on {kind}: {Writers.Children} children keep a count, one write after the other", "writes", Bare,
        [
            new FencedWrites("ours, fenced (WriteAsync)", 20_000, server),
            new CheckThenWrite("GET the owner, then HSET: not fenced, and two calls", 20_000, server),
            new BareWrites(Bare, 20_000, server),
        ]);
    }
}
