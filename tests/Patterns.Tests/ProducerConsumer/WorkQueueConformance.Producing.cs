using System.Diagnostics;
using DistributedPatterns.ProducerConsumer;

namespace DistributedPatterns.Tests.ProducerConsumer;

// The producers' side: the bound, what happens when it is reached, ids, order.
public abstract partial class WorkQueueConformance<T>
{
    [Fact(Timeout = HangLimit)]
    public async Task Full_WithReject_SaysSoAndCountsIt()
    {
        await using var queue = await CreateAsync(options => (options.Capacity, options.WhenFull) = (3, QueueFullPolicy.Reject));
        var results = await queue.EnqueueAsync([.. Enumerable.Range(0, 5).Select(Item)], TestStop);

        Assert.Equal([EnqueueOutcome.Accepted, EnqueueOutcome.Accepted, EnqueueOutcome.Accepted, EnqueueOutcome.Full, EnqueueOutcome.Full], results.Select(result => result.Outcome));
        Assert.Equal((3, 3, 2), (queue.Capacity, (await BalancedAsync(queue)).Depth, (await queue.LedgerAsync(TestStop)).Rejected));
        var full = await Assert.ThrowsAsync<WorkQueueFullException>(async () => await queue.EnqueueOrThrowAsync(Item(3), TestStop));
        Assert.Equal((3, 3), (full.Limit, full.Depth));
        Assert.Contains($"Queue '{queue.Name}' is full: 3 of 3 items", full.Message, StringComparison.Ordinal);

        // In hand and delayed items count too; only their end makes room.
        await using var delivery = await ReserveOneAsync(queue);
        Assert.Equal(EnqueueOutcome.Full, (await queue.EnqueueAsync(Item(3), TestStop)).Outcome);
        await delivery.NackAsync(TimeSpan.FromHours(1), "later", TestStop);
        Assert.Equal(EnqueueOutcome.Full, (await queue.EnqueueAsync(Item(3), TestStop)).Outcome);
        Assert.Equal(CancelOutcome.Cancelled, await queue.CancelAsync(delivery.Id, TestStop));
        Assert.Equal(EnqueueOutcome.Accepted, (await queue.EnqueueAsync(Item(3), TestStop)).Outcome);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Full_WithWait_HoldsTheProducerUntilThereIsRoom()
    {
        await using var queue = await CreateAsync(options => options.Capacity = 2);
        await FillAsync(queue, 2);
        var waiting = queue.EnqueueAsync([Item(2), Item(3), Item(4)], TestStop).AsTask();
        for (var i = 0; i < 5; i++)
        {
            var delivery = await ReserveOneAsync(queue);
            Assert.Equal($"item-{i}", delivery.Id);
            Assert.InRange((await BalancedAsync(queue)).Depth, 1, 2);
            if (i < 2) Assert.False(waiting.IsCompleted);
            await delivery.AckAsync(cancellationToken: TestStop);
        }
        Assert.All(await waiting, result => Assert.Equal(EnqueueOutcome.Accepted, result.Outcome));
        Assert.Equal((5, 0), ((await BalancedAsync(queue)).Done, (await BalancedAsync(queue)).Rejected));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Full_WithWait_EndsWithTheCallersToken()
    {
        await using var queue = await CreateAsync(options => options.Capacity = 1);
        await FillAsync(queue, 1);
        using var leave = new CancellationTokenSource();
        var waiting = queue.EnqueueAsync(Item(1), leave.Token).AsTask();
        Assert.False(waiting.IsCompleted);
        await leave.CancelAsync();

        Assert.Equal(leave.Token, (await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting)).CancellationToken);
        await (await ReserveOneAsync(queue)).AckAsync(cancellationToken: TestStop);
        Assert.InRange((await BalancedAsync(queue)).In, 1, MayAcceptWhatWasLeft ? 2 : 1);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Full_WithWaitAndALimit_IsFullAfterIt()
    {
        await using var queue = await CreateAsync(options => (options.Capacity, options.FullWait) = (1, Brief));
        await FillAsync(queue, 1);
        var waiting = queue.EnqueueAsync(Item(1), TestStop).AsTask();
        var seal = queue.EnqueueAsync([Item(2), Item(3)], TestStop).AsTask();
        await PassAsync(Brief + Brief);

        Assert.Equal(EnqueueOutcome.Full, (await waiting).Outcome);
        Assert.All(await seal, result => Assert.Equal(EnqueueOutcome.Full, result.Outcome));
        Assert.Equal((1, 3), ((await BalancedAsync(queue)).In, (await BalancedAsync(queue)).Rejected));
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(QueueFullPolicy.DropOldest, 2, 3)]
    [InlineData(QueueFullPolicy.DropNewest, 0, 3)]
    public async Task Full_WithDrop_MakesRoomAndSaysWhatIsGone(QueueFullPolicy policy, int first, int second)
    {
        await using var queue = await CreateAsync(options => (options.Capacity, options.WhenFull) = (2, policy));
        var results = await queue.EnqueueAsync([.. Enumerable.Range(0, 4).Select(Item)], TestStop);

        Assert.All(results, result => Assert.Equal((EnqueueOutcome.Accepted, true), (result.Outcome, result.Depth <= 2)));
        Assert.Equal((4, 2, 2, 0), ((await BalancedAsync(queue)).In, (await BalancedAsync(queue)).Dropped, (await BalancedAsync(queue)).Ready, (await BalancedAsync(queue)).Rejected));
        Assert.Equal(WorkItemState.Dropped, (await queue.FindAsync("item-1", TestStop))!.State);
        Assert.Equal(WorkItemState.Dropped, (await queue.WaitForEndAsync("item-1", TestStop))!.State);
        var deliveries = await queue.ReserveAsync(5, TestStop);
        Assert.Equal([$"item-{first}", $"item-{second}"], deliveries.Select(delivery => delivery.Id));

        // What is in hand is never dropped.
        Assert.Equal(EnqueueOutcome.Full, (await queue.EnqueueAsync(Item(9), TestStop)).Outcome);
        Assert.Equal(1, (await BalancedAsync(queue)).Rejected);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Id_EnqueuedAgain_IsADuplicateInEveryStateOfIt()
    {
        await using var queue = await CreateAsync(options => (options.MaxAttempts, options.WhenFull) = (1, QueueFullPolicy.Reject));
        async Task ExpectAsync(EnqueueOutcome outcome, WorkItemState? existing)
        {
            var again = await queue.EnqueueAsync(Item(0), TestStop);
            Assert.Equal((outcome, existing), (again.Outcome, again.Existing));
        }

        await queue.EnqueueAsync(Item(0) with { Delay = Brief }, TestStop);
        await ExpectAsync(EnqueueOutcome.Duplicate, WorkItemState.Delayed);
        await PassAsync(Brief);
        var delivery = await ReserveOneAsync(queue);
        await ExpectAsync(EnqueueOutcome.Duplicate, WorkItemState.Leased);
        await delivery.ReleaseAsync(TestStop);
        await ExpectAsync(EnqueueOutcome.Duplicate, WorkItemState.Ready);
        await (await ReserveOneAsync(queue)).NackAsync(TimeSpan.Zero, "no", TestStop);
        await ExpectAsync(EnqueueOutcome.Dead, null);
        await Assert.ThrowsAsync<WorkQueueRefusedException>(async () => await queue.EnqueueOrThrowAsync(Item(0), TestStop));
        Assert.Equal(new ReplayResult(1, 0), await queue.ReplayDeadAsync(1, TestStop));
        await (await ReserveOneAsync(queue)).AckAsync(cancellationToken: TestStop);
        await ExpectAsync(EnqueueOutcome.Duplicate, WorkItemState.Done);
        await queue.EnqueueAsync(Item(1), TestStop);
        await queue.CancelAsync("item-1", TestStop);
        Assert.Equal(WorkItemState.Cancelled, (await queue.EnqueueAsync(Item(1), TestStop)).Existing);

        var twice = await queue.EnqueueAsync([Item(2), Item(2)], TestStop);
        Assert.Equal([EnqueueOutcome.Accepted, EnqueueOutcome.Duplicate], twice.Select(result => result.Outcome));
        Assert.Equal(3, (await BalancedAsync(queue)).In);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Delay_HoldsAnItemBackAndKeepsItsPlace()
    {
        await using var queue = await CreateAsync();
        await queue.EnqueueAsync([Item(0) with { Delay = Brief }, Item(1), Item(2)], TestStop);

        Assert.Equal("item-1", (await ReserveOneAsync(queue)).Id);
        Assert.Equal((1, 1, 1), ((await BalancedAsync(queue)).Delayed, (await BalancedAsync(queue)).Ready, (await BalancedAsync(queue)).Leased));
        await PassAsync(Brief);
        Assert.Equal(["item-0", "item-2"], (await queue.ReserveAsync(5, TestStop)).Select(delivery => delivery.Id));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Delay_WhileAConsumerWaits_WakesIt()
    {
        await using var queue = await CreateAsync();
        await queue.EnqueueAsync(Item(0) with { Delay = Brief }, TestStop);
        var waiting = queue.ReserveAsync(1, TestStop).AsTask();
        Assert.False(waiting.IsCompleted);
        await PassAsync(Brief);
        Assert.Equal("item-0", Assert.Single(await waiting).Id);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Priority_OvertakesByItsStepAndStarvesNobody()
    {
        await using var queue = await CreateAsync(options => (options.PriorityStep, options.WhenFull) = (10, QueueFullPolicy.Reject));
        await queue.EnqueueAsync(Item(0) with { Priority = 2 }, TestStop); // place 1 + 2 × 10
        for (var i = 1; i <= 30; i++) await queue.EnqueueAsync(Item(i), TestStop); // places 2 to 31
        var order = (await queue.ReserveAsync(100, TestStop)).Select(delivery => delivery.Id).ToList();

        var overtakers = order.IndexOf("item-0");
        Assert.InRange(overtakers, 19, 20);
        Assert.Equal(Enumerable.Range(1, 30).Select(i => $"item-{i}"), order.Where(id => id != "item-0"));
    }

    [Fact(Timeout = HangLimit)]
    public async Task TimeToLive_WhenItIsOver_TheItemIsDead()
    {
        await using var queue = await CreateAsync();
        await queue.EnqueueAsync(Item(0) with { TimeToLive = Brief }, TestStop);
        await queue.EnqueueAsync(Item(1) with { TimeToLive = TimeSpan.FromHours(1) }, TestStop);
        var inTime = await ReserveOneAsync(queue);
        Assert.InRange(inTime.TimeLeft!.Value, TimeSpan.Zero, Brief);
        await inTime.ReleaseAsync(TestStop);
        await PassAsync(Brief + TimeSpan.FromMilliseconds(50));

        Assert.Equal("item-1", (await ReserveOneAsync(queue)).Id);
        var dead = Assert.Single(await queue.PeekDeadAsync(0, 10, TestStop));
        Assert.Equal(("item-0", "ttl", 0), (dead.Id, dead.Reason, dead.Attempts));
        Assert.Equal(Payload(0), dead.Payload);
        Assert.Equal((1, 1), ((await BalancedAsync(queue)).Dead, (await BalancedAsync(queue)).Leased));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Seal_EndsTheIntakeAndThenTheConsumers()
    {
        await using var queue = await CreateAsync();
        var group = new ProducerGroup<T>(queue);
        var (first, second) = (group.Join(), group.Join());
        await first.EnqueueAsync(Item(0), TestStop);
        await first.DisposeAsync();
        await group.DisposeAsync();
        await second.EnqueueAsync(Item(1), TestStop); // one of two is through: nothing is sealed
        await second.DisposeAsync();
        await second.DisposeAsync();

        Assert.Equal(EnqueueOutcome.Sealed, (await queue.EnqueueAsync(Item(2), TestStop)).Outcome);
        Assert.Equal(EnqueueOutcome.Duplicate, (await queue.EnqueueAsync(Item(1), TestStop)).Outcome);
        await Assert.ThrowsAsync<WorkQueueRefusedException>(async () => await queue.EnqueueOrThrowAsync(Item(2), TestStop));
        Assert.Throws<InvalidOperationException>(group.Join);
        var deliveries = await queue.ReserveAsync(5, TestStop);
        Assert.Equal(2, deliveries.Count);
        var end = queue.ReserveAsync(1, TestStop).AsTask();
        await deliveries[0].AckAsync(cancellationToken: TestStop);
        await deliveries[1].NackAsync(TimeSpan.Zero, "again", TestStop); // so the end is not there yet
        var again = Assert.Single(await end);
        end = queue.ReserveAsync(1, TestStop).AsTask();
        await again.AckAsync(cancellationToken: TestStop);
        Assert.Empty(await end);
        Assert.True((await BalancedAsync(queue)).Sealed);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Trace_OfTheProducer_IsLinkedFromTheWork()
    {
        await using var queue = await CreateAsync();
        using var listener = new ActivityListener
        {
            ShouldListenTo = static source => source.Name is "DistributedPatterns" or "queue-test",
            Sample = static (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
        };
        ActivitySource.AddActivityListener(listener);
        using var source = new ActivitySource("queue-test");
        ActivityTraceId trace;
        using (var producing = source.StartActivity("producing"))
        {
            trace = producing!.TraceId;
            await queue.EnqueueAsync(Item(0), TestStop);
        }
        await using var delivery = await ReserveOneAsync(queue);
        Assert.Equal(trace, delivery.CreatedIn.TraceId);
        using var work = delivery.StartProcess();
        Assert.Equal(("process", ActivityKind.Consumer), (work!.OperationName, work.Kind));
        Assert.Equal(trace, Assert.Single(work.Links).Context.TraceId);
        Assert.Equal(queue.Name, work.GetTagItem("messaging.destination.name"));
    }
}
