using DistributedPatterns.ProducerConsumer;

namespace DistributedPatterns.Tests.ProducerConsumer;

/// <summary>What every variant of <see cref="IWorkQueue{T}"/> keeps. A variant's class says how to make one and how time passes for it.</summary>
public abstract partial class WorkQueueConformance<T>(Payloads<T> payloads)
{
    /// <summary>Far above what any test takes: a limit for hangs, in milliseconds.</summary>
    protected const int HangLimit = 60_000;

    protected static CancellationToken TestStop => TestContext.Current.CancellationToken;

    /// <summary>Gets a delay that passes while a test looks, and not before.</summary>
    protected virtual TimeSpan Brief => TimeSpan.FromMilliseconds(400);

    /// <summary>Gets whether an item may be accepted although its producer left while it waited for room.</summary>
    protected virtual bool MayAcceptWhatWasLeft => false;

    protected abstract ValueTask<IWorkQueue<T>> CreateAsync(Action<WorkQueueOptions> configure);

    /// <summary>Lets that much time pass for the queue.</summary>
    protected abstract Task PassAsync(TimeSpan time);

    protected ValueTask<IWorkQueue<T>> CreateAsync() => CreateAsync(static options => options.WhenFull = QueueFullPolicy.Reject);

    private T Payload(int number) => payloads.Of(number);

    private WorkItem<T> Item(int number) => new(Payload(number)) { Id = $"item-{number}" };

    private async Task FillAsync(IWorkQueue<T> queue, int count)
    {
        var results = await queue.EnqueueAsync([.. Enumerable.Range(0, count).Select(Item)], TestStop);
        Assert.All(results, result => Assert.Equal(EnqueueOutcome.Accepted, result.Outcome));
    }

    private static async Task<Delivery<T>> ReserveOneAsync(IWorkQueue<T> queue) => Assert.Single(await queue.ReserveAsync(1, TestStop));

    private static async Task<WorkQueueLedger> BalancedAsync(IWorkQueue<T> queue)
    {
        var ledger = await queue.LedgerAsync(TestStop);
        Assert.True(ledger.Balances, ledger.ToString());
        return ledger;
    }

    [Fact(Timeout = HangLimit)]
    public async Task Items_OneByOne_ComeWithTheirPayloadsInOrder()
    {
        await using var queue = await CreateAsync();
        for (var i = 0; i < 20; i++)
            Assert.Equal(new EnqueueResult($"item-{i}", EnqueueOutcome.Accepted, i + 1), await queue.EnqueueAsync(Item(i), TestStop));

        for (var i = 0; i < 20; i++)
        {
            var delivery = await ReserveOneAsync(queue);
            Assert.Equal(($"item-{i}", 1, RedeliveryReason.None), (delivery.Id, delivery.Attempt, delivery.Redelivery));
            Assert.Equal(Payload(i), delivery.Payload);
            Assert.Null(delivery.TimeLeft);
            Assert.False(delivery.LeaseLost.IsCancellationRequested || delivery.CancelRequested.IsCancellationRequested);
            Assert.Equal(SettleOutcome.Settled, await delivery.AckAsync(cancellationToken: TestStop));
        }
        Assert.Equal(new WorkQueueLedger(20, 0, 0, 0, 0, 0, 20, 0), await BalancedAsync(queue));
        Assert.Empty(await queue.TryReserveAsync(1, TestStop));
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(1_000)]
    public async Task Items_InBatches_ComeInOrderAndAreSettledTogether(int batch)
    {
        const int Count = 1_000;
        await using var queue = await CreateAsync();
        await FillAsync(queue, Count);
        var seen = new List<Delivery<T>>();
        while (seen.Count < Count)
        {
            var deliveries = await queue.ReserveAsync(batch, TestStop);
            Assert.InRange(deliveries.Count, 1, batch);
            seen.AddRange(deliveries);
            if (seen.Count % 3 == 0) Assert.Equal(seen.Count, (await BalancedAsync(queue)).Leased);
        }

        Assert.Equal(Enumerable.Range(0, Count).Select(i => $"item-{i}"), seen.Select(delivery => delivery.Id));
        Assert.Equal(seen.Select(delivery => delivery.Token).Order().Distinct(), seen.Select(delivery => delivery.Token));
        var outcomes = await queue.SettleAsync([.. seen.Select(delivery => Settlement.Ack(delivery))], TestStop);
        Assert.All(outcomes, outcome => Assert.Equal(SettleOutcome.Settled, outcome));
        Assert.Equal(Count, (await BalancedAsync(queue)).Done);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Ids_NotGiven_AreNewAndUnique()
    {
        await using var queue = await CreateAsync();
        var results = await queue.EnqueueAsync([.. Enumerable.Range(0, 200).Select(i => new WorkItem<T>(Payload(i)))], TestStop);
        Assert.Equal(200, results.Select(result => result.Id).Distinct().Count());
        var deliveries = await queue.ReserveAsync(200, TestStop);
        Assert.Equal(results.Select(result => result.Id), deliveries.Select(delivery => delivery.Id));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Arguments_OutOfRange_AreRefusedBeforeAnythingHappens()
    {
        await using var queue = await CreateAsync();
        foreach (var bad in (WorkItem<T>[])
            [
                Item(0) with { Id = "" }, Item(0) with { Id = new string('x', 129) }, Item(0) with { Id = "line\nfeed" }, Item(0) with { Priority = -1 },
                Item(0) with { Priority = 16 }, Item(0) with { Delay = TimeSpan.FromTicks(-1) }, Item(0) with { TimeToLive = TimeSpan.Zero },
                Item(0) with { Delay = TimeSpan.FromDays(366) },
            ])
        {
            await Assert.ThrowsAnyAsync<ArgumentException>(async () => await queue.EnqueueAsync(bad, TestStop));
            await Assert.ThrowsAnyAsync<ArgumentException>(async () => await queue.EnqueueAsync([Item(1), bad], TestStop));
        }
        await Assert.ThrowsAnyAsync<ArgumentException>(async () => await queue.ReserveAsync(0, TestStop));
        await Assert.ThrowsAnyAsync<ArgumentException>(async () => await queue.TryReserveAsync(1_001, TestStop));
        await Assert.ThrowsAnyAsync<ArgumentException>(async () => await queue.PeekDeadAsync(-1, 1, TestStop));
        await Assert.ThrowsAnyAsync<ArgumentException>(async () => await queue.ReplayDeadAsync(0, TestStop));
        await Assert.ThrowsAnyAsync<ArgumentException>(async () => await queue.SettleAsync([Settlement.Nack("x", 1, TimeSpan.FromTicks(-1), "")], TestStop));
        await Assert.ThrowsAnyAsync<ArgumentException>(async () => await queue.SettleAsync([Settlement.Extend("x", 1, TimeSpan.Zero)], TestStop));
        Assert.Equal(new WorkQueueLedger(0, 0, 0, 0, 0, 0, 0, 0), await BalancedAsync(queue));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Calls_WithACancelledToken_ThrowItAndDoNothing()
    {
        await using var queue = await CreateAsync();
        await FillAsync(queue, 1);
        using var left = new CancellationTokenSource();
        await left.CancelAsync();

        foreach (var call in (Func<CancellationToken, Task>[])
            [
                async token => await queue.EnqueueAsync(Item(1), token), async token => await queue.EnqueueAsync([Item(1)], token),
                async token => await queue.ReserveAsync(1, token), async token => await queue.TryReserveAsync(1, token),
            ])
            Assert.Equal(left.Token, (await Assert.ThrowsAnyAsync<OperationCanceledException>(() => call(left.Token))).CancellationToken);

        var ledger = await BalancedAsync(queue);
        Assert.Equal((1, 1), (ledger.In, ledger.Ready));
    }
}
