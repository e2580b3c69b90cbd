using System.Threading.Channels;
using System.Threading.Tasks.Dataflow;
using DistributedPatterns.Benchmarks.Harness;

namespace DistributedPatterns.Benchmarks.FanOutFanIn;

/// <summary>The limit: each thread has its half from the start, and adds up by itself.</summary>
internal sealed class StaticSplit(string name, Items items) : ThroughputContender(name, items.Count)
{
    public override async Task<TimeSpan?> RunAsync(int operations)
    {
        var inputs = items.Inputs(operations);
        var sums = await Task.WhenAll(Enumerable.Range(0, Items.Workers).Select(worker => Task.Run(() =>
        {
            var sum = 0L;
            var (from, to) = (operations * worker / Items.Workers, operations * (worker + 1) / Items.Workers);
            for (var i = from; i < to; i++) sum += items.Work.Do(inputs[i]);
            return sum;
        })));
        items.Check(sums.Sum(), operations);
        return null;
    }
}

/// <summary>PLINQ, results one by one to the caller.</summary>
internal sealed class Plinq(string name, Items items, ParallelQueryOrder order) : ThroughputContender(name, items.Count)
{
    public override Task<TimeSpan?> RunAsync(int operations)
    {
        var query = items.Inputs(operations).AsParallel();
        if (order == ParallelQueryOrder.AsAsked) query = query.AsOrdered();
        var sum = 0L;
        foreach (var result in query.WithDegreeOfParallelism(Items.Workers).Select(items.Work.Do)) sum += result;
        items.Check(sum, operations);
        return Task.FromResult<TimeSpan?>(null);
    }
}

internal enum ParallelQueryOrder
{
    AsCompleted,
    AsAsked,
}

/// <summary>What everybody writes first: items through one bounded channel to the workers, results through another one back.</summary>
internal sealed class ChannelOfItems(string name, Items items) : ThroughputContender(name, items.Count)
{
    public override async Task<TimeSpan?> RunAsync(int operations)
    {
        var asked = Channel.CreateBounded<int>(new BoundedChannelOptions(1_024) { SingleWriter = true });
        var answered = Channel.CreateBounded<long>(new BoundedChannelOptions(1_024) { SingleReader = true });
        var scatter = Task.Run(async () =>
        {
            foreach (var item in items.Inputs(operations)) await asked.Writer.WriteAsync(item);
            asked.Writer.Complete();
        });
        var workers = Task.WhenAll(Enumerable.Range(0, Items.Workers).Select(_ => Task.Run(async () =>
        {
            await foreach (var item in asked.Reader.ReadAllAsync()) await answered.Writer.WriteAsync(items.Work.Do(item));
        })));
        var complete = CompleteAsync();
        var sum = 0L;
        await foreach (var result in answered.Reader.ReadAllAsync()) sum += result;
        await Task.WhenAll(scatter, complete);
        items.Check(sum, operations);
        return null;

        async Task CompleteAsync()
        {
            await workers;
            answered.Writer.Complete();
        }
    }
}

/// <summary>TPL Dataflow: a transform block of the same degree.</summary>
internal sealed class DataflowTransform(string name, Items items, ParallelQueryOrder order) : ThroughputContender(name, items.Count)
{
    public override async Task<TimeSpan?> RunAsync(int operations)
    {
        var block = new TransformBlock<int, long>(items.Work.Do, new ExecutionDataflowBlockOptions
        {
            MaxDegreeOfParallelism = Items.Workers,
            BoundedCapacity = 1_024,
            EnsureOrdered = order == ParallelQueryOrder.AsAsked,
        });
        var scatter = Task.Run(async () =>
        {
            foreach (var item in items.Inputs(operations)) await block.SendAsync(item);
            block.Complete();
        });
        var sum = 0L;
        while (await block.OutputAvailableAsync())
            while (block.TryReceive(out var result)) sum += result;
        await scatter;
        items.Check(sum, operations);
        return null;
    }
}
