using System.Diagnostics;
using System.Threading.Channels;
using System.Threading.Tasks.Dataflow;
using Akka.Actor;
using Akka.Streams;
using Akka.Streams.Dsl;
using DistributedPatterns.Benchmarks.Harness;

namespace DistributedPatterns.Benchmarks.Pipeline;

/// <summary>What everybody writes first: a task a stage and a bounded channel between two, item by item.</summary>
internal sealed class ChannelPerStage(string name, int operations) : ThroughputContender(name, operations)
{
    public override async Task<TimeSpan?> RunAsync(int operations)
    {
        var since = Stopwatch.GetTimestamp();
        var source = NewChannel();
        var feeding = Task.Run(async () =>
        {
            for (var i = 0; i < operations; i++) await source.Writer.WriteAsync(i);
            source.Writer.Complete();
        });
        var last = Stage(Stage(Stage(source.Reader, Numbers.Triple), Numbers.AddOne), Numbers.Mix);
        var sum = await Task.Run(async () =>
        {
            var total = 0L;
            while (await last.WaitToReadAsync())
                while (last.TryRead(out var x)) total += x;
            return total;
        });
        await feeding;
        var took = Stopwatch.GetElapsedTime(since);
        Numbers.Check(sum, operations);
        return took;
    }

    private static Channel<int> NewChannel() => Channel.CreateBounded<int>(new BoundedChannelOptions(1024) { SingleReader = true, SingleWriter = true });

    private static ChannelReader<int> Stage(ChannelReader<int> input, Func<int, int> transform)
    {
        var output = NewChannel();
        _ = Task.Run(async () =>
        {
            while (await input.WaitToReadAsync())
                while (input.TryRead(out var x)) await output.Writer.WriteAsync(transform(x));
            output.Writer.Complete();
        });
        return output.Reader;
    }
}

internal sealed class DataflowBlocks(string name, int operations) : ThroughputContender(name, operations)
{
    public override async Task<TimeSpan?> RunAsync(int operations)
    {
        var since = Stopwatch.GetTimestamp();
        var options = new ExecutionDataflowBlockOptions { BoundedCapacity = 1024, SingleProducerConstrained = true };
        var link = new DataflowLinkOptions { PropagateCompletion = true };
        var (triple, addOne, mix) = (new TransformBlock<int, int>(Numbers.Triple, options), new TransformBlock<int, int>(Numbers.AddOne, options), new TransformBlock<int, int>(Numbers.Mix, options));
        var sum = 0L;
        var sink = new ActionBlock<int>(x => sum += x, options);
        triple.LinkTo(addOne, link);
        addOne.LinkTo(mix, link);
        mix.LinkTo(sink, link);
        for (var i = 0; i < operations; i++)
            if (!triple.Post(i)) await triple.SendAsync(i);
        triple.Complete();
        await sink.Completion;
        var took = Stopwatch.GetElapsedTime(since);
        Numbers.Check(sum, operations);
        return took;
    }
}

internal sealed class AkkaStreams(string name, int operations) : ThroughputContender(name, operations)
{
    private ActorSystem? _system;
    private ActorMaterializer? _materializer;

    public override Task<string?> SetUpAsync()
    {
        _system = ActorSystem.Create("benchmark", "akka.loglevel = WARNING");
        _materializer = _system.Materializer();
        return Task.FromResult<string?>(null);
    }

    public override async Task<TimeSpan?> RunAsync(int operations)
    {
        var since = Stopwatch.GetTimestamp();
        var sum = await Source.From(Enumerable.Range(0, operations)).Async()
            .Select(Numbers.Triple).Async()
            .Select(Numbers.AddOne).Async()
            .Select(Numbers.Mix).Async()
            .RunWith(Sink.Aggregate<int, long>(0, (total, x) => total + x), _materializer);
        var took = Stopwatch.GetElapsedTime(since);
        Numbers.Check(sum, operations);
        return took;
    }

    public override async ValueTask TearDownAsync()
    {
        _materializer?.Dispose();
        if (_system is not null) await _system.Terminate();
    }
}

/// <summary>No contract, no errors, no lone items: arrays of 256 from channel to channel. Nothing item-wise can be faster.</summary>
internal sealed class ChunksByHand(string name, int operations) : ThroughputContender(name, operations)
{
    private const int ChunkSize = 256;

    public override async Task<TimeSpan?> RunAsync(int operations)
    {
        var since = Stopwatch.GetTimestamp();
        var free = Channel.CreateUnbounded<int[]>();
        var source = NewChannel();
        var feeding = Task.Run(async () =>
        {
            for (var i = 0; i < operations;)
            {
                if (!free.Reader.TryRead(out var chunk)) chunk = new int[ChunkSize];
                var count = Math.Min(ChunkSize, operations - i);
                for (var at = 0; at < count; at++) chunk[at] = i++;
                await source.Writer.WriteAsync(new ArraySegment<int>(chunk, 0, count));
            }
            source.Writer.Complete();
        });
        var last = Stage(Stage(Stage(source.Reader, Numbers.Triple), Numbers.AddOne), Numbers.Mix);
        var sum = await Task.Run(async () =>
        {
            var total = 0L;
            await foreach (var chunk in last.ReadAllAsync())
            {
                foreach (var x in chunk.AsSpan()) total += x;
                free.Writer.TryWrite(chunk.Array!);
            }
            return total;
        });
        await feeding;
        var took = Stopwatch.GetElapsedTime(since);
        Numbers.Check(sum, operations);
        return took;
    }

    private static Channel<ArraySegment<int>> NewChannel() =>
        Channel.CreateBounded<ArraySegment<int>>(new BoundedChannelOptions(16) { SingleReader = true, SingleWriter = true });

    private static ChannelReader<ArraySegment<int>> Stage(ChannelReader<ArraySegment<int>> input, Func<int, int> transform)
    {
        var output = NewChannel();
        _ = Task.Run(async () =>
        {
            await foreach (var chunk in input.ReadAllAsync())
            {
                foreach (ref var x in chunk.AsSpan()) x = transform(x);
                await output.Writer.WriteAsync(chunk);
            }
            output.Writer.Complete();
        });
        return output.Reader;
    }
}
