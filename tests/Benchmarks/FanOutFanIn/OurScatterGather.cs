using DistributedPatterns.Benchmarks.Harness;
using DistributedPatterns.FanOutFanIn;
using DistributedPatterns.Payloads;
using Microsoft.Extensions.Options;

namespace DistributedPatterns.Benchmarks.FanOutFanIn;

/// <summary><see cref="ChannelScatterGather"/> through its public contract: each answer with its attribution, one by one.</summary>
internal sealed class OurScatterGather(string name, Items items, GatherOrder order) : ThroughputContender(name, items.Count)
{
    private readonly ChannelScatterGather _scatter = new(
        new BranchCatalog([new BranchDefinition<int, long>("work", PayloadCodec.Packed<int>(), PayloadCodec.Packed<long>(), (item, _) => new(items.Work.Do(item)))]),
        Options.Create(new ChannelScatterGatherOptions()), TimeProvider.System);

    public override async Task<TimeSpan?> RunAsync(int operations)
    {
        var sum = 0L;
        var options = new ScatterOptions<int> { Degree = Items.Workers, Order = order };
        await foreach (var result in _scatter.Scatter<int, long>("work", items.Inputs(operations), options)) sum += result.Value;
        items.Check(sum, operations);
        return null;
    }

    public override ValueTask TearDownAsync() => _scatter.DisposeAsync();
}
