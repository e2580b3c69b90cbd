using DistributedPatterns.ProducerConsumer;
using DistributedPatterns.Tests.Support;
using Microsoft.Extensions.Logging.Abstractions;
using StackExchange.Redis;

namespace DistributedPatterns.Tests.ProducerConsumer;

/// <summary>The contract over <see cref="RedisWorkQueue{T}"/> on a real server.</summary>
public abstract class RedisWorkQueueTests<T>(SharedRedis shared, RedisKind kind, Payloads<T> payloads) : WorkQueueConformance<T>(payloads), IAsyncLifetime
{
    private readonly Payloads<T> _payloads = payloads;
    private ConnectionMultiplexer? _redis;

    public async ValueTask InitializeAsync() => _redis = await (await shared.OfAsync(kind)).ConnectAsync();

    protected override ValueTask<IWorkQueue<T>> CreateAsync(Action<WorkQueueOptions> configure)
    {
        var options = new RedisWorkQueueOptions { Lease = TimeSpan.FromSeconds(3) };
        configure(options);
        return new(new RedisWorkQueue<T>(
            _redis!, SharedRedis.NewTag(), _payloads.Codec, options, TimeProvider.System, NullLogger<RedisWorkQueue<T>>.Instance));
    }

    // The server counts in whole milliseconds, and a timer here may be early by one of the system's ticks.
    protected override Task PassAsync(TimeSpan time) => Task.Delay(time + TimeSpan.FromMilliseconds(20), TimeProvider.System, TestStop);

    public async ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        if (_redis is not null) await _redis.DisposeAsync();
    }
}

public sealed class RedisWorkQueueOfTextOnRedisTests(SharedRedis shared) : RedisWorkQueueTests<string>(shared, RedisKind.Redis, new TextPayloads());

public sealed class RedisWorkQueueOfTextOnGarnetTests(SharedRedis shared) : RedisWorkQueueTests<string>(shared, RedisKind.Garnet, new TextPayloads());

public sealed class RedisWorkQueueOfReadingsOnRedisTests(SharedRedis shared) : RedisWorkQueueTests<Reading>(shared, RedisKind.Redis, new ReadingPayloads());

public sealed class RedisWorkQueueOfReadingsOnGarnetTests(SharedRedis shared) : RedisWorkQueueTests<Reading>(shared, RedisKind.Garnet, new ReadingPayloads());
