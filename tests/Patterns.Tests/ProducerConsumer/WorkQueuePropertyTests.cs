using CsCheck;
using DistributedPatterns.Payloads;
using DistributedPatterns.ProducerConsumer;
using DistributedPatterns.Tests.Support;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

namespace DistributedPatterns.Tests.ProducerConsumer;

/// <summary>Random sequences of calls against the model.</summary>
public sealed class WorkQueuePropertyTests(SharedRedis shared)
{
    private enum Step { Enqueue, Reserve, Settle, Cancel, Replay, Advance }

    private sealed record Call(Step Step, int Id, int Count, SettleVerb Verb, int Delay);

    private sealed record Plan(QueueFullPolicy WhenFull, int Capacity, Call[] Calls);

    private static readonly Gen<Call> s_call = Gen.Select(
        Gen.Frequency((8, Gen.Const(Step.Enqueue)), (5, Gen.Const(Step.Reserve)), (8, Gen.Const(Step.Settle)), (1, Gen.Const(Step.Cancel)), (1, Gen.Const(Step.Replay)), (1, Gen.Const(Step.Advance))),
        Gen.Int[0, 11], Gen.Int[1, 4], Gen.OneOf(SettleVerb.Ack, SettleVerb.Nack, SettleVerb.Release, SettleVerb.DeadLetter, SettleVerb.Fail), Gen.OneOf(0, 0, 0, 10, 25),
        (step, id, count, verb, delay) => new Call(step, id, count, verb, delay));

    private static readonly Gen<Plan> s_plan = Gen.Select(
        Gen.OneOf(QueueFullPolicy.Reject, QueueFullPolicy.DropOldest, QueueFullPolicy.DropNewest), Gen.Int[1, 6], s_call.Array[1, 60],
        (full, capacity, calls) => new Plan(full, capacity, calls));

    [Fact(Timeout = 120_000)]
    public Task ChannelQueue_AnySequenceOfCalls_DoesWhatTheModelDoes() => s_plan.SampleAsync(async plan =>
    {
        var (clock, options) = (new FakeTimeProvider(), Limit(new ChannelWorkQueueOptions(), plan));
        await using var queue = new ChannelWorkQueue<string>("random", options, clock, NullLogger<ChannelWorkQueue<string>>.Instance);
        await CompareAsync(plan, queue, new QueueModel(options), ms => clock.Advance(TimeSpan.FromMilliseconds(ms)));
    }, iter: 3_000, threads: 2);

    [Theory(Timeout = 120_000)]
    [InlineData(RedisKind.Redis)]
    [InlineData(RedisKind.Garnet)]
    public async Task RedisQueue_AnySequenceOfCalls_DoesWhatTheModelDoes(RedisKind kind)
    {
        await using var redis = await (await shared.OfAsync(kind)).ConnectAsync();
        await s_plan.SampleAsync(async plan =>
        {
            // No test can stop the server's clock, so nothing is delayed here.
            var still = plan with { Calls = [.. plan.Calls.Where(call => call.Step != Step.Advance).Select(call => call with { Delay = 0 })] };
            var (tag, options) = (SharedRedis.NewTag(), Limit(new RedisWorkQueueOptions(), plan));
            options.KeyTag = tag;
            await using var queue = new RedisWorkQueue<string>(redis, tag, PayloadCodec.Utf8, options, TimeProvider.System, NullLogger<RedisWorkQueue<string>>.Instance);
            await CompareAsync(still, queue, new QueueModel(options), _ => { });
            await new QueueScript(redis.GetDatabase(), tag).AssertWholeAsync("at the end");
            await queue.DeleteAsync();
        }, iter: 150, threads: 2);
    }

    private static TOptions Limit<TOptions>(TOptions options, Plan plan) where TOptions : WorkQueueOptions
    {
        (options.WhenFull, options.Capacity, options.MaxAttempts, options.DeadCapacity, options.DoneKeep, options.PriorityStep) = (plan.WhenFull, plan.Capacity, 2, 2, 4, 3);
        options.DoneKeepFor = TimeSpan.FromDays(1);
        return options;
    }

    private static async Task CompareAsync(Plan plan, IWorkQueue<string> queue, QueueModel model, Action<int> advance)
    {
        var stop = TestContext.Current.CancellationToken;
        var held = new List<(Delivery<string> Delivery, long Token)>(); // also those that are settled: their handles are stale
        foreach (var call in plan.Calls)
        {
            var id = $"id-{call.Id}";
            switch (call.Step)
            {
                case Step.Enqueue:
                    var expected = model.Enqueue(id, call.Count - 1, call.Delay);
                    var got = await queue.EnqueueAsync(new WorkItem<string>(id) { Id = id, Priority = call.Count - 1, Delay = TimeSpan.FromMilliseconds(call.Delay) }, stop);
                    Assert.Equal(expected, (got.Outcome, got.Existing));
                    break;
                case Step.Reserve:
                    var wanted = model.Reserve(call.Count);
                    var deliveries = await queue.TryReserveAsync(call.Count, stop);
                    Assert.Equal(wanted, deliveries.Select(delivery => (delivery.Payload, delivery.Attempt, delivery.Redelivery)));
                    held.AddRange(deliveries.Select(delivery => (delivery, model.TokenOf(delivery.Id))));
                    break;
                case Step.Settle when held.Count > 0:
                    var (one, token) = held[call.Id % held.Count];
                    var delay = TimeSpan.FromMilliseconds(call.Delay);
                    var settlement = call.Verb switch
                    {
                        SettleVerb.Ack => Settlement.Ack(one),
                        SettleVerb.Nack => Settlement.Nack(one, delay, "no"),
                        SettleVerb.Release => Settlement.Release(one),
                        SettleVerb.Fail => Settlement.Fail(one),
                        _ => Settlement.DeadLetter(one, "never"),
                    };
                    Assert.Equal([model.Settle(call.Verb, one.Id, token, call.Delay)], await queue.SettleAsync([settlement], stop));
                    break;
                case Step.Cancel:
                    Assert.Equal(model.Cancel(id), await queue.CancelAsync(id, stop));
                    break;
                case Step.Replay:
                    Assert.Equal(model.Replay(call.Count), await queue.ReplayDeadAsync(call.Count, stop));
                    break;
                case Step.Advance:
                    model.Advance(call.Delay);
                    advance(call.Delay);
                    break;
            }
            Assert.Equal(model.Ledger(), await queue.LedgerAsync(stop) with { OldestAge = TimeSpan.Zero });
            Assert.Equal(model.StateOf(id), (await queue.FindAsync(id, stop))?.State);
        }
    }
}
