using System.Collections.Concurrent;
using DistributedPatterns.Benchmarks.Harness;
using DistributedPatterns.FanOutFanIn;
using DistributedPatterns.Tests.Support;
using Microsoft.Extensions.DependencyInjection;

namespace DistributedPatterns.Benchmarks.FanOutFanIn;

/// <summary>Items of known work fanned out over two workers, and their answers gathered one by one.</summary>
internal static class FanOutFanInBenchmarks
{
    private const string Limit = "the limit: two threads, static split";

    public static IReadOnlyList<IBenchmark> Create(RunSettings settings)
    {
        var processes = new SharedServices(RedisKind.Garnet, services => services.AddTurns().AddGrpcScatterGather(options => options.Role = RemoteTurns.Role), (RemoteTurns.Role, Items.Workers));
        var (small, large) = (new Items(TimeSpan.FromMicroseconds(1), 1_000_000), new Items(TimeSpan.FromMicroseconds(50), 20_000));
        return
        [
            InProcess("1 µs", small),
            InProcess("50 µs", large),
            AcrossProcesses("1 µs", small, processes),
            AcrossProcesses("50 µs", large, processes),
        ];
    }

    private static Throughput InProcess(string each, Items items) => new($"Fan-out/fan-in in process: items of {each}, 2 workers", "items", Limit,
    [
        new OurScatterGather("ours, as completed", items, GatherOrder.AsCompleted),
        new OurScatterGather("ours, in order", items, GatherOrder.AsAsked),
        new Plinq("PLINQ, as completed", items, ParallelQueryOrder.AsCompleted),
        new Plinq("PLINQ, in order", items, ParallelQueryOrder.AsAsked),
        new ChannelOfItems("Channel of items, bounded 1,024", items),
        new DataflowTransform("TPL Dataflow, as completed", items, ParallelQueryOrder.AsCompleted),
        new DataflowTransform("TPL Dataflow, in order", items, ParallelQueryOrder.AsAsked),
        new StaticSplit(Limit, items),
    ]);

    // The limit needs no other process: what ours has less is what the way there and back costs.
    private static Throughput AcrossProcesses(string each, Items items, SharedServices processes) => new($"Fan-out/fan-in across processes: items of {each}, 2 workers", "items", Limit,
    [
        new OurGrpcScatterGather("ours, as completed", items, GatherOrder.AsCompleted, processes),
        new OurGrpcScatterGather("ours, in order", items, GatherOrder.AsAsked, processes),
        new StaticSplit(Limit, items),
    ]);
}

/// <summary>What all contenders of a table work on.</summary>
internal sealed class Items(TimeSpan each, int count)
{
    /// <summary>As many as the machine of the published figures has cores.</summary>
    public const int Workers = 2;

    private readonly ConcurrentDictionary<int, int[]> _inputs = [];
    private readonly ConcurrentDictionary<int, long> _expected = [];

    public Work Work { get; } = Work.Of(each);

    public int Count => count;

    public int[] Inputs(int operations) => _inputs.GetOrAdd(operations, static n => [.. Enumerable.Range(0, n)]);

    public void Check(long sum, int operations)
    {
        var expected = _expected.GetOrAdd(operations, Work.Expected);
        if (sum != expected) throw new InvalidOperationException($"{operations} items gave {sum} instead of {expected}.");
    }
}
