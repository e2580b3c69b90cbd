using System.Buffers.Binary;
using DistributedPatterns.Benchmarks.Harness;
using DistributedPatterns.Payloads;
using DistributedPatterns.PublishSubscribe;
using Microsoft.Extensions.Logging.Abstractions;
using StackExchange.Redis;

namespace DistributedPatterns.Benchmarks.PublishSubscribe;

/// <summary>Publishers at one end, subscribers at the other, on connections of their own; every subscriber must get every number.</summary>
internal abstract class Across(string name, int operations, int subscribers, SharedServices shared) : ThroughputContender(name, operations)
{
    protected const int Publishers = 64;

    protected int Subscribers => subscribers;

    protected Services Services { get; private set; } = null!;

    public override async Task<string?> SetUpAsync()
    {
        Services = await shared.StartAsync();
        return null;
    }

    public override ValueTask TearDownAsync() => shared.StopAsync();

    /// <summary>Publishes numbers, so many at a time.</summary>
    protected static Task PublishAsync(int operations, Func<int, Task> publish) => Task.WhenAll(Enumerable.Range(0, Publishers).Select(publisher => Task.Run(async () =>
    {
        for (var i = publisher; i < operations; i += Publishers) await publish(i);
    })));
}

/// <summary>Ours: one subscription for the process, and a ring that all read.</summary>
internal sealed class OurTopic(string name, int operations, int subscribers, bool retained, SharedServices shared) : Across(name, operations, subscribers, shared)
{
    public override async Task<TimeSpan?> RunAsync(int operations)
    {
        await using var there = await Services.Redis.ConnectAsync();
        await using var publisher = Create(Services.Connection, $"bench-{Guid.NewGuid():N}");
        await using var topic = Create(there, publisher.Name);
        var reading = new Task<long>[Subscribers];
        for (var i = 0; i < reading.Length; i++)
        {
            var subscription = await topic.SubscribeAsync(new SubscriptionOptions());
            reading[i] = Task.Run(() => ReadAsync(subscription, operations));
        }
        await PublishAsync(operations, i => publisher.PublishAsync(i).AsTask());
        foreach (var sum in await Task.WhenAll(reading)) ToAll.Check(sum, operations);
        return null;
    }

    private ITopic<int> Create(IConnectionMultiplexer redis, string name) => retained
        ? new RedisRetainedTopic<int>(redis, name, PayloadCodec.Packed<int>(), new RedisRetainedTopicOptions { Buffer = 1 << 16 }, TimeProvider.System, NullLogger<RedisRetainedTopic<int>>.Instance)
        : new RedisEphemeralTopic<int>(redis, name, PayloadCodec.Packed<int>(), new RedisTopicOptions { Buffer = 1 << 16 }, TimeProvider.System);

    private static async Task<long> ReadAsync(ISubscription<int> subscription, int count)
    {
        var items = new TopicItem<int>[ToAll.Batch];
        var (sum, received) = (0L, 0);
        while (received < count && await subscription.WaitToReadAsync())
        {
            foreach (ref readonly var item in items.AsSpan(0, subscription.TryRead(items)))
            {
                if (!item.IsMessage) throw new InvalidOperationException($"{item.Missed} messages are missing.");
                (sum, received) = (sum + item.Message, received + 1);
            }
        }
        await subscription.DisposeAsync();
        return sum;
    }
}

/// <summary>Each subscriber has a connection and a SUBSCRIBE of its own, and gets the bare message.</summary>
internal sealed class ConnectionEach(string name, int operations, int subscribers, SharedServices shared) : Across(name, operations, subscribers, shared)
{
    public override async Task<TimeSpan?> RunAsync(int operations)
    {
        var channel = RedisChannel.Literal($"bench-{Guid.NewGuid():N}");
        var connections = new List<ConnectionMultiplexer>();
        try
        {
            var reading = new List<Task<long>>();
            for (var i = 0; i < Subscribers; i++)
            {
                connections.Add(await Services.Redis.ConnectAsync());
                var queue = await connections[i].GetSubscriber().SubscribeAsync(channel);
                reading.Add(Task.Run(async () =>
                {
                    var sum = 0L;
                    for (var received = 0; received < operations; received++) sum += BinaryPrimitives.ReadInt32LittleEndian((byte[])(await queue.ReadAsync()).Message!);
                    return sum;
                }));
            }
            var publisher = Services.Connection.GetSubscriber();
            await PublishAsync(operations, i =>
            {
                var message = new byte[sizeof(int)];
                BinaryPrimitives.WriteInt32LittleEndian(message, i);
                return publisher.PublishAsync(channel, message);
            });
            foreach (var sum in await Task.WhenAll(reading)) ToAll.Check(sum, operations);
            return null;
        }
        finally
        {
            foreach (var connection in connections) await connection.DisposeAsync();
        }
    }
}

/// <summary>From the call of a publish to the message at its subscriber, one at a time.</summary>
internal sealed class PublishToHandler(string name, int samples, bool retained, SharedServices shared) : LatencyContender(name, samples)
{
    private Services _services = null!;

    public override async Task<string?> SetUpAsync()
    {
        _services = await shared.StartAsync();
        return null;
    }

    public override ValueTask TearDownAsync() => shared.StopAsync();

    public override async Task<double[]> SampleAsync(int samples)
    {
        await using var there = await _services.Redis.ConnectAsync();
        var name = $"bench-{Guid.NewGuid():N}";
        await using ITopic<int> publisher = Create(_services.Connection, name);
        await using ITopic<int> topic = Create(there, name);
        await using var subscription = await topic.SubscribeAsync(new SubscriptionOptions());
        var took = new double[samples];
        using var pace = new PeriodicTimer(TimeSpan.FromMilliseconds(1), TimeProvider.System);
        for (var i = 0; i < samples; i++)
        {
            await pace.WaitForNextTickAsync();
            var since = TimeProvider.System.GetTimestamp();
            var publishing = publisher.PublishAsync(i).AsTask();
            TopicItem<int> item;
            while (!subscription.TryRead(out item)) await subscription.WaitToReadAsync();
            took[i] = TimeProvider.System.GetElapsedTime(since).TotalMicroseconds;
            if (item.Message != i) throw new InvalidOperationException($"{i} came as {item}.");
            await publishing;
        }
        return took;
    }

    private ITopic<int> Create(IConnectionMultiplexer redis, string name) => retained
        ? new RedisRetainedTopic<int>(redis, name, PayloadCodec.Packed<int>(), new RedisRetainedTopicOptions(), TimeProvider.System, NullLogger<RedisRetainedTopic<int>>.Instance)
        : new RedisEphemeralTopic<int>(redis, name, PayloadCodec.Packed<int>(), new RedisTopicOptions(), TimeProvider.System);
}
