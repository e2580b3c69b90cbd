using DistributedPatterns.ProducerConsumer;
using DistributedPatterns.Tests.Support;

namespace DistributedPatterns.Tests.ProducerConsumer;

// The consumers' side: every way in which a delivery ends, and who is refused.
public abstract partial class WorkQueueConformance<T>
{
    [Fact(Timeout = HangLimit)]
    public async Task Nack_WithADelay_BringsTheItemBackAtItsOldPlace()
    {
        await using var queue = await CreateAsync();
        await FillAsync(queue, 3);
        var first = await ReserveOneAsync(queue);
        Assert.Equal(SettleOutcome.Settled, await first.NackAsync(Brief, "busy", TestStop));

        Assert.Equal("item-1", (await ReserveOneAsync(queue)).Id);
        Assert.Equal(WorkItemState.Delayed, (await queue.FindAsync("item-0", TestStop))!.State);
        await PassAsync(Brief);
        var again = await ReserveOneAsync(queue);
        Assert.Equal(("item-0", 2, RedeliveryReason.Nacked), (again.Id, again.Attempt, again.Redelivery));
        Assert.True(again.Token > first.Token);
        Assert.Equal(Payload(0), again.Payload);
        Assert.Equal(1, (await BalancedAsync(queue)).Redelivered);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Nack_AtTheLastAttempt_IsADeadLetterThatCanBeReplayed()
    {
        await using var queue = await CreateAsync(options => (options.MaxAttempts, options.WhenFull) = (2, QueueFullPolicy.Reject));
        await FillAsync(queue, 2);
        Assert.Equal(SettleOutcome.Settled, await (await ReserveOneAsync(queue)).NackAsync(TimeSpan.Zero, "first", TestStop));
        Assert.Equal(SettleOutcome.DeadLettered, await (await ReserveOneAsync(queue)).NackAsync(TimeSpan.Zero, "second: because", TestStop));
        await PassAsync(TimeSpan.FromMilliseconds(20));

        var dead = Assert.Single(await queue.PeekDeadAsync(0, 10, TestStop));
        Assert.Equal(("item-0", "nack second: because", 2), (dead.Id, dead.Reason, dead.Attempts));
        Assert.Equal(Payload(0), dead.Payload);
        Assert.InRange(dead.Age, TimeSpan.FromMilliseconds(10), TimeSpan.FromMinutes(1));
        Assert.Empty(await queue.PeekDeadAsync(1, 10, TestStop));
        Assert.Equal(WorkItemState.Dead, (await queue.WaitForEndAsync("item-0", TestStop))!.State);

        Assert.Equal(new ReplayResult(1, 0), await queue.ReplayDeadAsync(["item-0", "item-1", "nobody"], TestStop));
        var replayed = await ReserveOneAsync(queue);
        Assert.Equal(("item-0", 1, RedeliveryReason.Replayed), (replayed.Id, replayed.Attempt, replayed.Redelivery)); // before item-1, as it was
        await replayed.AckAsync(cancellationToken: TestStop);
        Assert.Equal((0, 1, 1), ((await BalancedAsync(queue)).Dead, (await BalancedAsync(queue)).Done, (await BalancedAsync(queue)).Replayed));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Replay_RespectsTheBound()
    {
        await using var queue = await CreateAsync(options => (options.Capacity, options.WhenFull) = (3, QueueFullPolicy.Reject));
        await FillAsync(queue, 3);
        foreach (var delivery in await queue.ReserveAsync(3, TestStop))
            Assert.Equal(SettleOutcome.DeadLettered, await delivery.DeadLetterAsync("no such customer", TestStop));
        await queue.EnqueueAsync(Item(3), TestStop);
        await queue.EnqueueAsync(Item(4), TestStop);

        Assert.Equal("dead no such customer", (await queue.PeekDeadAsync(0, 1, TestStop))[0].Reason);
        Assert.Equal(new ReplayResult(1, 2), await queue.ReplayDeadAsync(10, TestStop));
        Assert.Equal(new ReplayResult(0, 2), await queue.ReplayDeadAsync([], TestStop));
        Assert.Equal(["item-0", "item-3", "item-4"], (await queue.ReserveAsync(10, TestStop)).Select(delivery => delivery.Id));
        Assert.Equal((3, 2), ((await BalancedAsync(queue)).Leased, (await BalancedAsync(queue)).Dead));
    }

    [Fact(Timeout = HangLimit)]
    public async Task DeadLetters_AboveTheirCapacity_DropTheOldest()
    {
        await using var queue = await CreateAsync(options => (options.DeadCapacity, options.WhenFull) = (2, QueueFullPolicy.Reject));
        await FillAsync(queue, 5);
        foreach (var delivery in await queue.ReserveAsync(5, TestStop))
        {
            await delivery.DeadLetterAsync("no", TestStop);
            await PassAsync(TimeSpan.FromMilliseconds(2)); // one a millisecond, or their order is by id
        }
        Assert.Equal(["item-3", "item-4"], (await queue.PeekDeadAsync(0, 10, TestStop)).Select(dead => dead.Id));
        Assert.Equal((2, 3), ((await BalancedAsync(queue)).Dead, (await BalancedAsync(queue)).Dropped));
        Assert.Equal(WorkItemState.Dropped, (await queue.FindAsync("item-0", TestStop))!.State);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Release_AndDispose_GiveTheItemBackUncounted()
    {
        await using var queue = await CreateAsync();
        await FillAsync(queue, 2);
        var delivery = await ReserveOneAsync(queue);
        Assert.Equal(SettleOutcome.Settled, await delivery.ReleaseAsync(TestStop));
        await using (var again = await ReserveOneAsync(queue))
            Assert.Equal(("item-0", 1, RedeliveryReason.Released), (again.Id, again.Attempt, again.Redelivery));
        var third = await ReserveOneAsync(queue);
        Assert.Equal(("item-0", 1), (third.Id, third.Attempt));
        await third.AckAsync(cancellationToken: TestStop);
        await third.DisposeAsync(); // nothing left to give back
        await delivery.DisposeAsync();
        Assert.Equal((1, 1, 0), ((await BalancedAsync(queue)).Ready, (await BalancedAsync(queue)).Done, (await BalancedAsync(queue)).Fenced));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Settle_Repeated_IsAnsweredAlikeAndCountsOnce()
    {
        await using var queue = await CreateAsync(options => (options.MaxAttempts, options.WhenFull) = (1, QueueFullPolicy.Reject));
        await FillAsync(queue, 5);
        var d = await queue.ReserveAsync(5, TestStop);
        foreach (var (settlement, outcome) in ((Settlement, SettleOutcome)[])
            [
                (Settlement.Ack(d[0]), SettleOutcome.Settled), (Settlement.Nack(d[1], TimeSpan.Zero, "x"), SettleOutcome.DeadLettered),
                (Settlement.Release(d[2]), SettleOutcome.Settled), (Settlement.DeadLetter(d[3], "y"), SettleOutcome.DeadLettered),
                (Settlement.Fail(d[4], new byte[] { 7 }), SettleOutcome.Settled),
            ])
            await TwiceAsync(settlement, outcome);
        Assert.Equal([7], (await queue.GetResultAsync("item-4", TestStop))!.Value.ToArray());
        Assert.Equal(1, (await BalancedAsync(queue)).Failed);
        Assert.Equal((2, 2, 1, 0), ((await BalancedAsync(queue)).Done, (await BalancedAsync(queue)).Dead, (await BalancedAsync(queue)).Ready, (await BalancedAsync(queue)).Fenced));

        // Something else than before is no repetition.
        Assert.Equal(SettleOutcome.Stale, await d[0].NackAsync(TimeSpan.Zero, "late", TestStop));
        Assert.Equal(1, (await BalancedAsync(queue)).Fenced);

        async Task TwiceAsync(Settlement settlement, SettleOutcome outcome)
        {
            Assert.Equal([outcome], await queue.SettleAsync([settlement], TestStop));
            Assert.Equal([outcome, outcome], await queue.SettleAsync([settlement, settlement], TestStop));
        }
    }

    [Fact(Timeout = HangLimit)]
    public async Task Settle_WithTheTokenOfAnEarlierHandOut_IsRefusedAndCounted()
    {
        await using var queue = await CreateAsync();
        await FillAsync(queue, 1);
        var first = await ReserveOneAsync(queue);
        await first.NackAsync(TimeSpan.Zero, "slow", TestStop);
        var second = await ReserveOneAsync(queue);

        Assert.Equal(
            [SettleOutcome.Stale, SettleOutcome.Stale, SettleOutcome.Stale, SettleOutcome.Unknown],
            await queue.SettleAsync(
                [Settlement.Ack(first), Settlement.Nack(first.Id, first.Token, TimeSpan.Zero, "x"), Settlement.DeadLetter(first.Id, second.Token + 1, "x"), Settlement.Ack("nobody", 1)],
                TestStop));
        Assert.Equal(3, (await BalancedAsync(queue)).Fenced);
        Assert.Equal(SettleOutcome.Settled, await second.AckAsync(cancellationToken: TestStop));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Detach_LeavesTheItemToWhoeverKnowsItsTokenForAsLongAsItsLease()
    {
        await using var queue = await CreateAsync();
        await FillAsync(queue, 2);
        var d = await queue.ReserveAsync(2, TestStop);
        foreach (var delivery in d)
        {
            Assert.Equal(SettleOutcome.Settled, await delivery.DetachAsync(Brief, TestStop));
            await delivery.DisposeAsync(); // gives nothing back
        }
        Assert.Equal([SettleOutcome.Settled], await queue.SettleAsync([Settlement.Extend(d[1].Id, d[1].Token, TimeSpan.FromHours(1))], TestStop));
        await PassAsync(Brief);

        var again = await ReserveOneAsync(queue);
        Assert.Equal(("item-0", 2, RedeliveryReason.Expired), (again.Id, again.Attempt, again.Redelivery));
        Assert.Equal(
            [SettleOutcome.Stale, SettleOutcome.Settled],
            await queue.SettleAsync([Settlement.Ack(d[0].Id, d[0].Token), Settlement.Ack(d[1].Id, d[1].Token)], TestStop));
        Assert.Equal((1, 1, 1), ((await BalancedAsync(queue)).Expired, (await BalancedAsync(queue)).Fenced, (await BalancedAsync(queue)).Done));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Cancel_EndsWhatWaitsAndAsksWhoHolds()
    {
        await using var queue = await CreateAsync();
        await FillAsync(queue, 4);
        await queue.EnqueueAsync(Item(9) with { Delay = TimeSpan.FromHours(1) }, TestStop);
        var d = await queue.ReserveAsync(3, TestStop);

        Assert.Equal(CancelOutcome.Cancelled, await queue.CancelAsync("item-3", TestStop));
        Assert.Equal(CancelOutcome.Cancelled, await queue.CancelAsync("item-3", TestStop)); // said again
        Assert.Equal(CancelOutcome.Cancelled, await queue.CancelAsync("item-9", TestStop));
        Assert.Equal(CancelOutcome.Unknown, await queue.CancelAsync("nobody", TestStop));
        foreach (var delivery in d) Assert.Equal(CancelOutcome.Requested, await queue.CancelAsync(delivery.Id, TestStop));
        await Eventually.TrueAsync(() => d.All(delivery => delivery.CancelRequested.IsCancellationRequested), TimeSpan.FromSeconds(10), () => "a holder was not told");
        Assert.True((await queue.FindAsync("item-0", TestStop)) is { CancelRequested: true, State: WorkItemState.Leased });

        Assert.Equal(SettleOutcome.Cancelled, await d[0].NackAsync(TimeSpan.Zero, "stopped", TestStop));
        Assert.Equal(SettleOutcome.Cancelled, await d[1].ReleaseAsync(TestStop));
        Assert.Equal(SettleOutcome.Settled, await d[2].AckAsync(cancellationToken: TestStop)); // was through already
        Assert.Equal(CancelOutcome.Ended, await queue.CancelAsync("item-2", TestStop));
        Assert.Equal((4, 1, 0), ((await BalancedAsync(queue)).Cancelled, (await BalancedAsync(queue)).Done, (await BalancedAsync(queue)).Depth));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Result_IsKeptWithTheEndForAStatedNumberAndTime()
    {
        await using var queue = await CreateAsync(options => (options.DoneKeep, options.DoneKeepFor, options.WhenFull) = (3, TimeSpan.FromSeconds(5), QueueFullPolicy.Reject));
        await queue.EnqueueAsync(Item(0) with { Watched = true }, TestStop);
        var end = queue.WaitForEndAsync("item-0", TestStop).AsTask();
        Assert.Null(await queue.GetResultAsync("item-0", TestStop));
        byte[] bytes = [0, 1, 2, 255];
        await (await ReserveOneAsync(queue)).AckAsync(bytes, TestStop);
        Assert.Equal(bytes, (await end)!.Result.ToArray());
        Assert.Equal(bytes, (await queue.GetResultAsync("item-0", TestStop))!.Value.ToArray());

        for (var i = 1; i <= 3; i++)
        {
            await PassAsync(TimeSpan.FromMilliseconds(2));
            await queue.EnqueueAsync(Item(i), TestStop);
            await (await ReserveOneAsync(queue)).AckAsync(cancellationToken: TestStop);
        }
        Assert.Null(await queue.FindAsync("item-0", TestStop)); // three newer ones have ended
        Assert.Null(await queue.WaitForEndAsync("item-0", TestStop));
        Assert.Equal(0, (await queue.GetResultAsync("item-3", TestStop))!.Value.Length);
        await PassAsync(TimeSpan.FromSeconds(5.1));
        await queue.TryReserveAsync(1, TestStop);
        Assert.Null(await queue.GetResultAsync("item-3", TestStop)); // too old
        Assert.Equal(EnqueueOutcome.Accepted, (await queue.EnqueueAsync(Item(3), TestStop)).Outcome);
        Assert.Equal(4, (await BalancedAsync(queue)).Done);
    }

    [Fact(Timeout = HangLimit)]
    public async Task WaitForEnd_OfACallerThatLeaves_EndsForThatOneOnly()
    {
        await using var queue = await CreateAsync();
        await queue.EnqueueAsync(Item(0), TestStop);
        using var leave = new CancellationTokenSource();
        var first = queue.WaitForEndAsync("item-0", leave.Token).AsTask();
        var second = queue.WaitForEndAsync("item-0", TestStop).AsTask();
        await leave.CancelAsync();
        Assert.Equal(leave.Token, (await Assert.ThrowsAnyAsync<OperationCanceledException>(() => first)).CancellationToken);
        await queue.CancelAsync("item-0", TestStop);
        Assert.Equal(WorkItemState.Cancelled, (await second)!.State);
        Assert.Null(await queue.WaitForEndAsync("nobody", TestStop));
    }
}
