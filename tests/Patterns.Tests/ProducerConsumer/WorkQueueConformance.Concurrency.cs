using System.Collections.Concurrent;
using DistributedPatterns.ProducerConsumer;

namespace DistributedPatterns.Tests.ProducerConsumer;

// Many at the same time.
public abstract partial class WorkQueueConformance<T>
{
    [Fact(Timeout = HangLimit)]
    public async Task Reserve_OfCallersThatLeave_LosesNothingAndLeavesNothingBehind()
    {
        await using var queue = await CreateAsync();
        for (var round = 0; round < 20; round++)
        {
            using var leave = new CancellationTokenSource();
            var waiting = Enumerable.Range(0, 25).Select(_ => queue.ReserveAsync(1, leave.Token).AsTask()).ToArray();
            var enqueue = round % 2 == 0 ? queue.EnqueueAsync(Item(round), TestStop).AsTask() : Task.CompletedTask;
            await leave.CancelAsync();
            await enqueue;
            foreach (var wait in waiting)
            {
                try
                {
                    foreach (var delivery in await wait) await delivery.DisposeAsync();
                }
                catch (OperationCanceledException e)
                {
                    Assert.Equal(leave.Token, e.CancellationToken);
                }
            }
        }
        var ids = new List<string>(); // in no order: some may still be on their way back
        for (var i = 0; i < 10; i++)
        {
            var delivery = await ReserveOneAsync(queue);
            Assert.Equal(1, delivery.Attempt);
            ids.Add(delivery.Id);
            await delivery.AckAsync(cancellationToken: TestStop);
        }
        Assert.Equivalent(Enumerable.Range(0, 10).Select(i => $"item-{i * 2}"), ids, strict: true);
        Assert.Equal((10, 0), ((await BalancedAsync(queue)).Done, (await BalancedAsync(queue)).Depth));
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(QueueFullPolicy.Wait)]
    [InlineData(QueueFullPolicy.DropOldest)]
    public async Task ManyAtOnce_EachItemEndsOnceAndTheBoundHolds(QueueFullPolicy policy)
    {
        const int Producers = 4;
        const int Consumers = 4;
        const int Each = 400;
        await using var queue = await CreateAsync(options => (options.Capacity, options.WhenFull, options.MaxAttempts) = (50, policy, 3));
        var (acked, tokens) = (new ConcurrentDictionary<string, int>(), new ConcurrentDictionary<string, long>());
        await using var group = new ProducerGroup<T>(queue);
        using var watching = new CancellationTokenSource();
        var watch = WatchAsync();
        var producers = Enumerable.Range(0, Producers).Select(p => group.Join() is var producer ? Task.Run(() => ProduceAsync(p, producer), TestStop) : null!).ToArray();
        await group.DisposeAsync();
        await Task.WhenAll(producers.Concat(Enumerable.Range(0, Consumers).Select(ConsumeAsync)));
        await watching.CancelAsync();
        await watch;

        var ledger = await BalancedAsync(queue);
        Assert.Equal((Producers * Each, 0), (ledger.In, ledger.Depth));
        Assert.Equal(ledger.Done, acked.Count);
        Assert.All(acked, ack => Assert.Equal(1, ack.Value));
        Assert.Equal(ledger.In, ledger.Done + ledger.Dead + ledger.Dropped);
        if (policy == QueueFullPolicy.Wait) Assert.True(ledger is { Dropped: 0, Dead: > 0, Redelivered: > 0 }, ledger.ToString());

        async Task ProduceAsync(int number, ProducerGroup<T>.Producer producer)
        {
            await using var _ = producer;
            for (var i = 0; i < Each; i++)
                Assert.Equal(EnqueueOutcome.Accepted, (await producer.EnqueueAsync(new WorkItem<T>(Payload(i)) { Id = $"{number}/{i}" }, TestStop)).Outcome);
        }

        async Task ConsumeAsync(int number)
        {
            var random = new Random(number);
            while (await queue.ReserveAsync(random.Next(1, 9), TestStop) is { Count: > 0 } deliveries)
            {
                foreach (var delivery in deliveries)
                {
                    var before = tokens.GetValueOrDefault(delivery.Id);
                    Assert.True(tokens.TryAdd(delivery.Id, delivery.Token) || tokens.TryUpdate(delivery.Id, delivery.Token, before), "two at once hold one item");
                    Assert.True(delivery.Token > before, "the fence went back");
                }
                var settlements = deliveries.Select(delivery => random.Next(10) switch
                {
                    0 => Settlement.Nack(delivery, TimeSpan.Zero, "unlucky"),
                    1 => Settlement.Release(delivery),
                    2 when random.Next(5) == 0 => Settlement.DeadLetter(delivery, "hopeless"),
                    _ => Settlement.Ack(delivery),
                }).ToArray();
                var outcomes = await queue.SettleAsync(settlements, TestStop);
                for (var i = 0; i < settlements.Length; i++)
                {
                    Assert.True(outcomes[i] is SettleOutcome.Settled or SettleOutcome.DeadLettered, $"{settlements[i].Verb}: {outcomes[i]}");
                    if (settlements[i].Verb == SettleVerb.Ack) acked.AddOrUpdate(settlements[i].Id, 1, static (_, n) => n + 1);
                }
            }
        }

        async Task WatchAsync()
        {
            while (!watching.IsCancellationRequested)
            {
                Assert.InRange((await BalancedAsync(queue)).Depth, 0, queue.Capacity);
                await Task.Yield();
            }
        }
    }
}
