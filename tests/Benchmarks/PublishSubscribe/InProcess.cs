using System.Threading.Channels;
using DistributedPatterns.Benchmarks.Harness;
using DistributedPatterns.PublishSubscribe;

namespace DistributedPatterns.Benchmarks.PublishSubscribe;

/// <summary>One publisher, and subscribers each of whom must get every number.</summary>
internal abstract class ToAll(string name, int operations, int subscribers) : ThroughputContender(name, operations)
{
    public const int Buffer = 1_024;
    public const int Batch = 256;

    protected int Subscribers => subscribers;

    public static void Check(long sum, int count)
    {
        var expected = (long)count * (count - 1) / 2;
        if (sum != expected) throw new InvalidOperationException($"{count} messages gave {sum} instead of {expected}.");
    }
}

/// <summary>Ours: one ring, for which publishers wait. Messages one by one, or many at a time; read as they come.</summary>
internal sealed class OurChannelTopic(string name, int operations, int subscribers, int batch) : ToAll(name, operations, subscribers)
{
    public override async Task<TimeSpan?> RunAsync(int operations)
    {
        await using var topic = new ChannelTopic<int>("bench", new ChannelTopicOptions { Buffer = Buffer }, TimeProvider.System);
        var reading = new Task<long>[Subscribers];
        for (var i = 0; i < reading.Length; i++)
        {
            var subscription = await topic.SubscribeAsync(new SubscriptionOptions { Overflow = OverflowPolicy.Wait, WaitLimit = TimeSpan.FromMinutes(10) });
            reading[i] = Task.Run(() => ReadAsync(subscription));
        }
        var next = new int[batch];
        for (var i = 0; i < operations; i += batch)
        {
            if (batch == 1)
            {
                await topic.PublishAsync(i);
                continue;
            }
            var count = Math.Min(batch, operations - i);
            for (var at = 0; at < count; at++) next[at] = i + at;
            await topic.PublishAsync(next.AsMemory(0, count));
        }
        await topic.DisposeAsync();
        foreach (var sum in await Task.WhenAll(reading)) Check(sum, operations);
        return null;
    }

    private static async Task<long> ReadAsync(ISubscription<int> subscription)
    {
        var items = new TopicItem<int>[Batch];
        var sum = 0L;
        while (await subscription.WaitToReadAsync())
        {
            while (subscription.TryRead(items) is > 0 and var count)
                foreach (ref readonly var item in items.AsSpan(0, count)) sum += item.Message;
        }
        await subscription.DisposeAsync();
        return sum;
    }
}

/// <summary>What is written most: a bounded channel for each subscriber, and a loop over them.</summary>
internal sealed class ChannelEach(string name, int operations, int subscribers) : ToAll(name, operations, subscribers)
{
    public override async Task<TimeSpan?> RunAsync(int operations)
    {
        var channels = new Channel<int>[Subscribers];
        for (var i = 0; i < channels.Length; i++)
            channels[i] = Channel.CreateBounded<int>(new BoundedChannelOptions(Buffer) { SingleReader = true, SingleWriter = true });
        var reading = channels.Select(channel => Task.Run(async () =>
        {
            var sum = 0L;
            while (await channel.Reader.WaitToReadAsync())
                while (channel.Reader.TryRead(out var item)) sum += item;
            return sum;
        })).ToArray();
        for (var i = 0; i < operations; i++)
        {
            foreach (var channel in channels)
                if (!channel.Writer.TryWrite(i)) await channel.Writer.WriteAsync(i);
        }
        foreach (var channel in channels) channel.Writer.Complete();
        foreach (var sum in await Task.WhenAll(reading)) Check(sum, operations);
        return null;
    }
}
