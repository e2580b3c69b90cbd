using DistributedPatterns.Benchmarks.Harness;
using DistributedPatterns.Tests.Support;

namespace DistributedPatterns.Benchmarks.ProducerConsumer;

/// <summary>From enqueue to acknowledgement, of items that nobody works on: what the queue itself costs.</summary>
internal static class ProducerConsumerBenchmarks
{
    private const string Bounded = "Channel, bounded: gone when taken";
    private const string BullSingle = "BullMQ, added one by one";

    public static IReadOnlyList<IBenchmark> Create(RunSettings settings)
    {
        var redis = new SharedServices(RedisKind.Redis);
        return
        [
            new Throughput($"Producer-consumer in process: {Items.Producers} producers, {Items.Consumers} consumers", "items", Bounded,
            [
                new OurChannelQueue("ours, one at a time (ChannelWorkQueue)", 200_000, batch: 1),
                new OurChannelQueue("ours, 64 at a time", 500_000, batch: 64),
                new BoundedChannel(Bounded, 2_000_000),
            ]),
            new Throughput($"Producer-consumer on redis-server: {RedisItems.Callers} callers of each kind, or batches of {RedisItems.Batch}", "items", BullSingle,
            [
                new OurRedisQueue("ours, enqueued and settled one by one", 20_000, redis, batch: 1),
                new OurRedisQueue($"ours, {RedisItems.Batch} at a time", 50_000, redis, RedisItems.Batch),
                new BareList("LPUSH, LMOVE, LREM: no lease, no attempts, no bound", 50_000, redis),
                new BullQueue(BullSingle, 10_000, redis, batch: 1),
                new BullQueue($"BullMQ, {RedisItems.Batch} at a time", 10_000, redis, RedisItems.Batch),
            ]),
        ];
    }
}
