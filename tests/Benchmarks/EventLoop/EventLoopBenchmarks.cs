using DistributedPatterns.Benchmarks.Harness;
using DistributedPatterns.Benchmarks.Pipeline;
using DistributedPatterns.Tests.Support;

namespace DistributedPatterns.Benchmarks.EventLoop;

/// <summary>Post an event to a handler that does next to nothing: what the loop itself costs.</summary>
internal static class EventLoopBenchmarks
{
    public const int Capacity = 4_096;

    private const string Unbounded = "Channel, unbounded";
    private const string Writers = "Channel, bounded, three writers";
    private const string Stream = "bare gRPC to a worker and back, one event a message";

    public static IReadOnlyList<IBenchmark> Create(RunSettings settings) =>
    [
        new Throughput($"Event loop in process: one poster, post to handled, room for {Capacity:N0}", "events", Unbounded,
        [
            new OurTurnLoop("ours, bare (TurnLoop)", 20_000_000, posters: 1, measures: false),
            new OurTurnLoop("ours, bare, lag and turns measured", 10_000_000, posters: 1, measures: true),
            new OurChannelLoop("ours, keyed, JSON events, ids and ledger (ChannelEventLoop)", 500_000),
            new ChannelReader(Unbounded, 10_000_000, capacity: null),
            new ChannelReader("Channel, bounded", 5_000_000, Capacity),
            new DataflowAction("TPL Dataflow, bounded", 5_000_000),
        ]),
        new Throughput("Event loop in process: three posters with a source each", "events", Writers,
        [
            new OurTurnLoop("ours, bare (TurnLoop), three sources", 20_000_000, posters: 3, measures: false),
            new ChannelReader(Writers, 5_000_000, Capacity, posters: 3),
            new GoProgram("Go, select over 3 chans", 10_000_000, "EventLoop/eventloop.go", Events.Check),
        ]),
        Across(RedisKind.Garnet),
        Across(RedisKind.Redis),
    ];

    private static Throughput Across(RedisKind kind)
    {
        var processes = new SharedServices(kind, services => services.AddLoopOfBenchmark(), (RedisLoops.Role, 1), ("worker", 1));
        return new Throughput($"Event loop across processes, on {kind}: until everything is handled and kept", "events", Stream,
        [
            new OurRedisLoop("ours, 100 events a post, 16 posters", 400_000, processes, posters: 16, each: 100),
            new OurRedisLoop("ours, one event a post, 512 posters", 100_000, processes, posters: 512, each: 1),
            new ChunksToWorker(Stream, 100_000, processes, 1),
        ]);
    }
}

/// <summary>The events 0, 1, 2, …, and the sum that handling them gives.</summary>
internal static class Events
{
    public static void Check(long sum, int operations)
    {
        var expected = (long)operations * (operations - 1) / 2;
        if (sum != expected) throw new InvalidOperationException($"{operations} events gave {sum} instead of {expected}.");
    }
}
