using System.Threading.Channels;
using DistributedPatterns.Benchmarks.Harness;
using DistributedPatterns.ProducerConsumer;
using Microsoft.Extensions.Logging.Abstractions;

namespace DistributedPatterns.Benchmarks.ProducerConsumer;

/// <summary>Numbers from producers to consumers, who add them up.</summary>
internal abstract class Items(string name, int operations) : ThroughputContender(name, operations)
{
    public const int Producers = 2;
    public const int Consumers = 2;
    public const int Capacity = 1_024;

    public sealed override async Task<TimeSpan?> RunAsync(int operations)
    {
        var share = operations / Producers;
        var producing = Task.WhenAll(Enumerable.Range(0, Producers).Select(producer => Task.Run(() => ProduceAsync(producer * share, share))));
        var consuming = Task.WhenAll(Enumerable.Range(0, Consumers).Select(_ => Task.Run(ConsumeAsync)));
        await producing;
        await CompleteAsync();
        Check((await consuming).Sum(), share * Producers);
        return null;
    }

    public static void Check(long sum, int count)
    {
        var expected = (long)count * (count - 1) / 2;
        if (sum != expected) throw new InvalidOperationException($"{count} items gave {sum} instead of {expected}.");
    }

    protected abstract Task ProduceAsync(int first, int count);

    protected abstract ValueTask CompleteAsync();

    protected abstract Task<long> ConsumeAsync();
}

/// <summary>Ours: bounded, and an item is held until it is acknowledged.</summary>
internal sealed class OurChannelQueue(string name, int operations, int batch) : Items(name, operations)
{
    private ChannelWorkQueue<int> _queue = Create();

    protected override async Task ProduceAsync(int first, int count)
    {
        var next = new List<WorkItem<int>>(batch);
        for (var i = first; i < first + count; i++)
        {
            if (batch == 1)
            {
                await _queue.EnqueueAsync(new WorkItem<int>(i));
                continue;
            }
            next.Add(new WorkItem<int>(i));
            if (next.Count < batch && i < first + count - 1) continue;
            await _queue.EnqueueAsync(next);
            next.Clear();
        }
    }

    protected override ValueTask CompleteAsync() => _queue.SealAsync();

    protected override async Task<long> ConsumeAsync()
    {
        var (queue, sum) = (_queue, 0L);
        while (await queue.ReserveAsync(batch) is { Count: > 0 } deliveries)
        {
            sum += deliveries.Sum(delivery => (long)delivery.Payload);
            if (batch == 1) await deliveries[0].AckAsync();
            else await queue.SettleAsync([.. deliveries.Select(delivery => Settlement.Ack(delivery))]);
        }
        // A sealed queue is at its end: the next round gets a new one.
        Interlocked.CompareExchange(ref _queue, Create(), queue);
        return sum;
    }

    private static ChannelWorkQueue<int> Create() => new("bench", new ChannelWorkQueueOptions { Capacity = Capacity }, TimeProvider.System, NullLogger<ChannelWorkQueue<int>>.Instance);
}

/// <summary>What everybody takes first: an item is gone when it is taken, whatever becomes of its consumer.</summary>
internal sealed class BoundedChannel(string name, int operations) : Items(name, operations)
{
    private Channel<int> _channel = Channel.CreateBounded<int>(Capacity);

    protected override async Task ProduceAsync(int first, int count)
    {
        for (var i = first; i < first + count; i++) await _channel.Writer.WriteAsync(i);
    }

    protected override ValueTask CompleteAsync()
    {
        _channel.Writer.Complete();
        return default;
    }

    protected override async Task<long> ConsumeAsync()
    {
        var (channel, sum) = (_channel, 0L);
        await foreach (var item in channel.Reader.ReadAllAsync()) sum += item;
        Interlocked.CompareExchange(ref _channel, Channel.CreateBounded<int>(Capacity), channel);
        return sum;
    }
}
