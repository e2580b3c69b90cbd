using DistributedPatterns.Payloads;
using DistributedPatterns.ProducerConsumer;
using Microsoft.Extensions.Logging.Abstractions;
using StackExchange.Redis;

namespace DistributedPatterns.Tests.Cluster;

/// <summary>A work queue: what it holds is delivered after the failover, and its ledger balances.</summary>
internal sealed class QueueUser : ScriptUser
{
    private const int Count = 300;

    public override IReadOnlyList<string> Scripts => ["ProducerConsumer/queue.lua"];

    public override async Task RunAsync(RedisCluster cluster, IConnectionMultiplexer redis, string tag, Func<Task> failOver)
    {
        var stop = TestContext.Current.CancellationToken;
        var options = new RedisWorkQueueOptions { KeyTag = tag, Lease = TimeSpan.FromSeconds(2), RetryFor = Limit };
        await using var queue = new RedisWorkQueue<int>(redis, "cluster", PayloadCodec.Packed<int>(), options, TimeProvider.System, NullLogger<RedisWorkQueue<int>>.Instance);
        await queue.EnqueueAsync([.. Enumerable.Range(0, Count).Select(i => new WorkItem<int>(i) { Id = $"{i}" })], stop);
        var held = await queue.ReserveAsync(10, stop);

        await failOver();

        // The last writes may be lost with the old master; what the producer hands in again closes that gap.
        var again = await InsistAsync(() => queue.EnqueueAsync([.. Enumerable.Range(0, Count).Select(i => new WorkItem<int>(i) { Id = $"{i}" })], stop).AsTask());
        Assert.All(again, result => Assert.True(result.Outcome is EnqueueOutcome.Accepted or EnqueueOutcome.Duplicate));
        foreach (var delivery in held) await InsistAsync(() => delivery.AckAsync(cancellationToken: stop).AsTask());
        await InsistAsync(async () => (await queue.LedgerAsync(stop)).In);
        await queue.SealAsync(stop);
        while (await queue.ReserveAsync(100, stop) is { Count: > 0 } deliveries)
            await InsistAsync(() => queue.SettleAsync([.. deliveries.Select(delivery => Settlement.Ack(delivery))], stop).AsTask());
        var ledger = await InsistAsync(() => queue.LedgerAsync(stop).AsTask());
        Assert.True(ledger.Balances, ledger.ToString());
        Assert.Equal((Count, 0), (ledger.Done, ledger.Depth));
    }
}
