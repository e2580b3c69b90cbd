using System.Collections.Concurrent;
using System.Globalization;
using DistributedPatterns.Payloads;
using DistributedPatterns.ProducerConsumer;
using DistributedPatterns.Tests.Support;
using Microsoft.Extensions.Logging.Abstractions;
using StackExchange.Redis;

namespace DistributedPatterns.Tests.ProducerConsumer;

/// <summary>What happens to a queue when a holder freezes, when its server does, and when that one is killed.</summary>
public sealed class RedisWorkQueueFaultTests(SharedRedis shared)
{
    private const int HangLimit = 120_000;
    private static readonly TimeSpan s_lease = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(30);

    private static CancellationToken TestStop => TestContext.Current.CancellationToken;

    [Theory(Timeout = HangLimit)]
    [InlineData(RedisKind.Redis)]
    [InlineData(RedisKind.Garnet)]
    public async Task Holder_FrozenPastItsLease_IsToldToStopAndRefused(RedisKind kind)
    {
        var server = await shared.OfAsync(kind);
        await using var redis = await server.ConnectAsync();
        var (tag, lease) = (SharedRedis.NewTag(), TimeSpan.FromSeconds(10));
        await using var queue = NewQueue(redis, tag, options => options.Lease = TimeSpan.FromMinutes(1)); // what is taken here is not to be lost
        await queue.EnqueueAsync(new WorkItem<string>("precious") { Id = "one" }, TestStop);
        await using var holder = await WatchedProcess.StartBuiltAsync("MemberProcess", new Dictionary<string, string>
        {
            ["ConnectionStrings__redis"] = server.ConnectionString,
            ["ASPNETCORE_URLS"] = "http://127.0.0.1:0",
            ["Members__Group"] = tag,
            ["Patterns__ProducerConsumer__held__KeyTag"] = tag,
            ["Patterns__ProducerConsumer__held__Lease"] = lease.ToString("c", CultureInfo.InvariantCulture),
        });
        await Eventually.TrueAsync(() => holder.Output.Contains("@held one", StringComparison.Ordinal), s_limit, () => holder.Output);
        await Eventually.StaysTrueAsync(() => !holder.Output.Contains("@lost", StringComparison.Ordinal), lease * 1.5, () => "renewals do not hold the lease");

        await holder.PauseAsync();
        var taken = Assert.Single(await queue.ReserveAsync(1, TestStop));
        Assert.Equal(("one", "precious", 2, RedeliveryReason.Expired), (taken.Id, taken.Payload, taken.Attempt, taken.Redelivery));
        await holder.ResumeAsync();

        await Eventually.TrueAsync(() => holder.Output.Contains("@ack Stale", StringComparison.Ordinal), s_limit, () => holder.Output);
        Assert.True(holder.Output.IndexOf("@lost", StringComparison.Ordinal) < holder.Output.IndexOf("@ack", StringComparison.Ordinal));
        Assert.Equal(SettleOutcome.Settled, await taken.AckAsync("mine"u8.ToArray(), TestStop));
        Assert.Equal("mine"u8.ToArray(), (await queue.GetResultAsync("one", TestStop))!.Value.ToArray());
        var ledger = await queue.LedgerAsync(TestStop);
        Assert.Equal((1, 1, 1, true), (ledger.Fenced, ledger.Expired, ledger.Done, ledger.Balances));
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(RedisKind.Redis)]
    [InlineData(RedisKind.Garnet)]
    public async Task Server_FrozenPastTheLease_HoldersStopByTheirOwnClockAndWorkGoesOn(RedisKind kind)
    {
        await using var server = await RedisBackend.StartAsync(kind);
        await using var redis = await server.ConnectAsync();
        await using var queue = NewQueue(redis, SharedRedis.NewTag());
        await queue.EnqueueAsync(new WorkItem<string>("x") { Id = "one" }, TestStop);
        var held = Assert.Single(await queue.ReserveAsync(1, TestStop));
        var since = TimeProvider.System.GetTimestamp();

        await server.PauseAsync();
        await Eventually.TrueAsync(() => held.LeaseLost.IsCancellationRequested, s_limit, () => "the holder was not told");
        var enqueue = queue.EnqueueAsync(new WorkItem<string>("y") { Id = "two" }, TestStop).AsTask(); // goes on trying
        using var impatient = new CancellationTokenSource();
        var reserve = queue.ReserveAsync(1, impatient.Token).AsTask();
        await impatient.CancelAsync();
        Assert.Equal(impatient.Token, (await Assert.ThrowsAnyAsync<OperationCanceledException>(() => reserve)).CancellationToken);
        await server.ResumeAsync();

        Assert.Equal(EnqueueOutcome.Accepted, (await enqueue).Outcome);
        var ids = new List<string>();
        while (ids.Count < 2)
        {
            foreach (var delivery in await queue.ReserveAsync(2, TestStop))
            {
                ids.Add(delivery.Id);
                Assert.Equal(SettleOutcome.Settled, await delivery.AckAsync(cancellationToken: TestStop));
            }
        }
        Assert.Equal(["one", "two"], ids.Order());
        await held.DisposeAsync(); // lost: nothing to give back
        Assert.Equal((2, 0), ((await queue.LedgerAsync(TestStop)).Done, (await queue.LedgerAsync(TestStop)).Fenced));
        Assert.True(TimeProvider.System.GetElapsedTime(since) < TimeSpan.FromSeconds(60));
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(RedisKind.Redis)]
    [InlineData(RedisKind.Garnet)]
    public async Task Server_KilledAndStartedAgainFromItsLog_LosesNothingThatItHadLoggedAndGoesOn(RedisKind kind)
    {
        const int Items = 1_500;
        await using var server = await RedisBackend.StartAsync(kind, waitForLog: true);
        await using var redis = await server.ConnectAsync();
        var tag = SharedRedis.NewTag();
        await using var queue = NewQueue(redis, tag);
        var (accepted, acked) = (new ConcurrentDictionary<string, int>(), new ConcurrentDictionary<string, int>());
        var half = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var work = Task.WhenAll(Task.Run(ProduceAsync, TestStop), Task.Run(ConsumeAsync, TestStop), Task.Run(ConsumeAsync, TestStop));

        await half.Task.WaitAsync(TestStop);
        await server.KillAsync();
        await server.RestartAsync();
        await work;

        Assert.Equal(Items, accepted.Count);
        Assert.Equal(accepted.Keys.Order(), acked.Keys.Order());
        Assert.All(acked, ack => Assert.Equal(1, ack.Value));
        var ledger = await queue.LedgerAsync(TestStop);
        Assert.True(ledger.Balances, ledger.ToString());
        Assert.Equal((Items, Items, 0), (ledger.In, ledger.Done, ledger.Depth));
        await new QueueScript(redis.GetDatabase(), tag).AssertWholeAsync("after the restart");

        async Task ProduceAsync()
        {
            for (var i = 0; i < Items; i++)
            {
                var result = await queue.EnqueueAsync(new WorkItem<string>("x") { Id = $"{i}" }, TestStop);
                Assert.Equal(EnqueueOutcome.Accepted, result.Outcome);
                accepted[result.Id] = 1;
                if (i == Items / 2) half.TrySetResult();
            }
            await queue.SealAsync(TestStop);
        }

        async Task ConsumeAsync()
        {
            while (await queue.ReserveAsync(10, TestStop) is { Count: > 0 } deliveries)
            {
                var outcomes = await queue.SettleAsync([.. deliveries.Select(delivery => Settlement.Ack(delivery))], TestStop);
                for (var i = 0; i < outcomes.Count; i++)
                    if (outcomes[i] == SettleOutcome.Settled) acked.AddOrUpdate(deliveries[i].Id, 1, static (_, n) => n + 1);
            }
        }
    }

    [Fact(Timeout = HangLimit)]
    public async Task Server_AwayForGood_CallsEndWithItsErrorAfterTheirTime()
    {
        await using var server = await RedisBackend.StartAsync(RedisKind.Redis);
        await using var redis = await server.ConnectAsync();
        await using var queue = NewQueue(redis, SharedRedis.NewTag(), options => options.RetryFor = TimeSpan.FromSeconds(1));
        await queue.EnqueueAsync(new WorkItem<string>("x"), TestStop);
        var held = await queue.ReserveAsync(1, TestStop);
        await server.KillAsync();

        var errors = await Task.WhenAll(((Func<Task>[])
            [
                async () => await queue.EnqueueAsync(new WorkItem<string>("y"), TestStop), async () => await queue.TryReserveAsync(1, TestStop),
                async () => await held[0].AckAsync(cancellationToken: TestStop), async () => await queue.LedgerAsync(TestStop),
                async () => await queue.WaitForEndAsync(held[0].Id, TestStop),
            ]).Select(call => Record.ExceptionAsync(call).AsTask()));
        Assert.All(errors, error => Assert.True(error is RedisException or TimeoutException, $"{error}"));
        await held[0].DisposeAsync(); // does not throw: its lease gives it back
    }

    [Fact(Timeout = HangLimit)]
    public async Task Payload_AboveTheLimit_IsRefusedWithBothNumbers()
    {
        await using var redis = await (await shared.OfAsync(RedisKind.Redis)).ConnectAsync();
        await using var queue = NewQueue(redis, SharedRedis.NewTag());
        var largest = new string('x', RedisWorkQueueOptions.MaxPayloadBytes - 4);
        Assert.Equal(EnqueueOutcome.Accepted, (await queue.EnqueueAsync(new WorkItem<string>(largest), TestStop)).Outcome);
        var error = await Assert.ThrowsAsync<PayloadTooLargeException>(async () => await queue.EnqueueAsync([new("small"), new(largest + "x")], TestStop));
        Assert.Equal((65_536, 65_537), (error.LimitBytes, error.ActualBytes));
        Assert.Equal(1, (await queue.LedgerAsync(TestStop)).In);
        var delivery = Assert.Single(await queue.ReserveAsync(1, TestStop));
        Assert.Equal(largest, delivery.Payload);
        await Assert.ThrowsAsync<PayloadTooLargeException>(async () => await delivery.AckAsync(new byte[65_537], TestStop));
        Assert.Equal(SettleOutcome.Settled, await delivery.AckAsync(new byte[65_536], TestStop)); // the refused one changed nothing
    }

    [Fact(Timeout = HangLimit)]
    public async Task Payload_ThatNobodyCanRead_IsADeadLetter()
    {
        await using var redis = await (await shared.OfAsync(RedisKind.Redis)).ConnectAsync();
        var tag = SharedRedis.NewTag();
        await using var queue = NewQueue(redis, tag);
        await new QueueScript(redis.GetDatabase(), tag).EnqueueAsync("poison", "\0no length");
        await queue.EnqueueAsync(new WorkItem<string>("fine"), TestStop);
        Assert.Equal("fine", Assert.Single(await queue.ReserveAsync(1, TestStop)).Payload);
        var dead = Assert.Single(await queue.PeekDeadAsync(0, 5, TestStop));
        Assert.Equal(("poison", null), (dead.Id, dead.Payload));
        Assert.StartsWith("dead unreadable: ", dead.Reason, StringComparison.Ordinal);
    }

    private static RedisWorkQueue<string> NewQueue(ConnectionMultiplexer redis, string tag, Action<RedisWorkQueueOptions>? configure = null)
    {
        var options = new RedisWorkQueueOptions { KeyTag = tag, Lease = s_lease, RetryFor = TimeSpan.FromSeconds(60) };
        configure?.Invoke(options);
        return new RedisWorkQueue<string>(redis, "faults", PayloadCodec.Utf8, options, TimeProvider.System, NullLogger<RedisWorkQueue<string>>.Instance);
    }
}
