using System.Text.Json.Serialization;
using System.Threading.Channels;
using System.Threading.Tasks.Dataflow;
using DistributedPatterns.Benchmarks.Harness;
using DistributedPatterns.EventLoop;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;

namespace DistributedPatterns.Benchmarks.EventLoop;

/// <summary>The bare loop.</summary>
internal sealed class OurTurnLoop(string name, int operations, int posters, bool measures) : ThroughputContender(name, operations)
{
    public override async Task<TimeSpan?> RunAsync(int operations)
    {
        var sum = 0L;
        var loop = new TurnLoop<int>(e => sum += e, static (_, error) => throw error, TimeProvider.System, measures ? new Measured() : null);
        var sources = Enumerable.Range(0, posters).Select(_ => loop.AddSource(EventLoopBenchmarks.Capacity)).ToArray();
        await Task.WhenAll(sources.Select((source, poster) => Task.Run(async () =>
        {
            for (var e = poster; e < operations; e += posters)
                if (!source.TryPost(e)) await source.PostAsync(e);
        })));
        await loop.StopAsync(TimeSpan.FromMinutes(1));
        Events.Check(sum, operations);
        return null;
    }

    private sealed class Measured : ITurnTimings<int>
    {
        private long _longest;

        public void Waited(TimeSpan lag) => _longest = Math.Max(_longest, lag.Ticks);

        public void Took(int e, TimeSpan turn) => _longest = Math.Max(_longest, turn.Ticks);
    }
}

/// <summary>The contract, 100 events a post.</summary>
internal sealed class OurChannelLoop(string name, int operations) : ThroughputContender(name, operations)
{
    public override async Task<TimeSpan?> RunAsync(int operations)
    {
        const int Keys = 64;
        await using var loop = new ChannelEventLoop(
            new LoopHandlerCatalog([LoopHandlers.Add]), Options.Create(new ChannelEventLoopOptions { Capacity = EventLoopBenchmarks.Capacity }), TimeProvider.System, NullLogger<ChannelEventLoop>.Instance);
        for (var next = 0; next < operations; next += PostRequest.MaxEvents)
            await loop.PostAsync(LoopHandlers.Post($"key-{next / PostRequest.MaxEvents % Keys}", next, Math.Min(PostRequest.MaxEvents, operations - next)));
        while ((await loop.GetStatusAsync()).Ledger.Waiting > 0) await Task.Yield();
        var sum = 0L;
        for (var key = 0; key < Keys; key++) sum += LoopHandlers.Add.StateOf(await loop.ReadAsync($"key-{key}"))?.Value ?? 0;
        Events.Check(sum, operations);
        return null;
    }
}

/// <summary>What everybody writes first: a loop over a channel.</summary>
internal sealed class ChannelReader(string name, int operations, int? capacity, int posters = 1) : ThroughputContender(name, operations)
{
    public override async Task<TimeSpan?> RunAsync(int operations)
    {
        var channel = capacity is { } bound
            ? Channel.CreateBounded<int>(new BoundedChannelOptions(bound) { SingleReader = true, SingleWriter = posters == 1 })
            : Channel.CreateUnbounded<int>(new UnboundedChannelOptions { SingleReader = true, SingleWriter = posters == 1 });
        var handling = Task.Run(async () =>
        {
            var sum = 0L;
            while (await channel.Reader.WaitToReadAsync())
                while (channel.Reader.TryRead(out var e)) sum += e;
            return sum;
        });
        await Task.WhenAll(Enumerable.Range(0, posters).Select(poster => Task.Run(async () =>
        {
            for (var e = poster; e < operations; e += posters)
                if (!channel.Writer.TryWrite(e)) await channel.Writer.WriteAsync(e);
        })));
        channel.Writer.Complete();
        Events.Check(await handling, operations);
        return null;
    }
}

internal sealed class DataflowAction(string name, int operations) : ThroughputContender(name, operations)
{
    public override async Task<TimeSpan?> RunAsync(int operations)
    {
        var sum = 0L;
        var block = new ActionBlock<int>(e => sum += e, new ExecutionDataflowBlockOptions { BoundedCapacity = EventLoopBenchmarks.Capacity, SingleProducerConstrained = true });
        for (var e = 0; e < operations; e++)
            if (!block.Post(e)) await block.SendAsync(e);
        block.Complete();
        await block.Completion;
        Events.Check(sum, operations);
        return null;
    }
}

/// <summary>The handler of the keyed loops.</summary>
internal static class LoopHandlers
{
    public static LoopHandler<LoopSum, LoopNumber> Add { get; } = new(
        "add", static (sum, e, _) => new((sum?.Value ?? 0) + e.Value), EventLoopBenchmarkJson.Default.LoopSum, EventLoopBenchmarkJson.Default.LoopNumber);

    public static PostRequest Post(string key, int from, int count) => new(key, [.. Enumerable.Range(from, count).Select(static e => Add.With(new LoopNumber(e)))]);
}

internal sealed record LoopSum(long Value);

internal sealed record LoopNumber(int Value);

[JsonSerializable(typeof(LoopSum))]
[JsonSerializable(typeof(LoopNumber))]
internal sealed partial class EventLoopBenchmarkJson : JsonSerializerContext;
