using CsCheck;
using DistributedPatterns.PublishSubscribe;
using Microsoft.Extensions.Time.Testing;

namespace DistributedPatterns.Tests.PublishSubscribe;

/// <summary>Random sequences of publishing, joining and reading: for every subscriber each number is a message that it read, one of other subjects, or in a mark.</summary>
public sealed class TopicPropertyTests
{
    private enum Step { Publish, Read, Join }

    /// <param name="Who">Which subscriber reads, or is the one whose position a new one goes on from.</param>
    private sealed record Call(Step Step, int Who, int Count, string Subject, OverflowPolicy Overflow, int Capacity, int Start);

    private sealed record Plan(int Buffer, Call[] Calls);

    // Who is waited for holds publishers up, which is another test's subject.
    private static readonly OverflowPolicy[] s_policies = [OverflowPolicy.DropOldest, OverflowPolicy.DropNewest, OverflowPolicy.Latest, OverflowPolicy.Disconnect];

    private static readonly Gen<Call> s_call = Gen.Select(
        Gen.Frequency((6, Gen.Const(Step.Publish)), (5, Gen.Const(Step.Read)), (1, Gen.Const(Step.Join))), Gen.Int[0, 5], Gen.Int[1, 12], Gen.Bool.Select(isA => isA ? "a" : "b"),
        Gen.Int[0, 3].Select(policy => s_policies[policy]), Gen.Int[1, 16], Gen.Int[0, 2],
        (step, who, count, subject, overflow, capacity, start) => new Call(step, who, count, subject, overflow, capacity, start));

    private static readonly Gen<Plan> s_plan = Gen.Select(Gen.Int[2, 16], s_call.Array[1, 80], (buffer, calls) => new Plan(buffer, calls));

    [Fact(Timeout = 120_000)]
    public Task ChannelTopic_AnySequenceOfCalls_TellsEverySubscriberOfEveryNumber() => s_plan.SampleAsync(async plan =>
    {
        await using var topic = new ChannelTopic<int>("random", new ChannelTopicOptions { Buffer = plan.Buffer, MaxSubscribers = 1_000 }, new FakeTimeProvider());
        var (subjects, readers) = (new List<string>(), new List<Reader>());
        foreach (var call in plan.Calls)
        {
            switch (call.Step)
            {
                case Step.Publish:
                    for (var i = 0; i < call.Count; i++)
                    {
                        subjects.Add(call.Subject);
                        Assert.Equal(subjects.Count, (await topic.PublishAsync(subjects.Count, call.Subject, TestContext.Current.CancellationToken)).Sequence);
                    }
                    break;
                case Step.Join:
                    var options = new SubscriptionOptions { Subjects = call.Count % 2 == 0 ? "**" : call.Subject, Overflow = call.Overflow, Capacity = Math.Min(call.Capacity, plan.Buffer) };
                    if (call.Start == 1) options.Start = TopicStart.Last(call.Count);
                    if (call.Start == 2 && readers.Count > 0) options.Start = TopicStart.After(readers[call.Who % readers.Count].Subscription.Position);
                    readers.Add(new Reader(await topic.SubscribeAsync(options, TestContext.Current.CancellationToken), options, subjects));
                    break;
                default:
                    if (readers.Count > 0) readers[call.Who % readers.Count].Read(call.Count);
                    break;
            }
            foreach (var reader in readers) Assert.True(reader.Subscription.Ledger.Balances, $"{reader.Subscription.Ledger}");
        }
        foreach (var reader in readers) reader.ReadToTheEnd();
    }, iter: 3_000, threads: 2);

    /// <summary>Counts by itself what a subscription says it has counted.</summary>
    private sealed class Reader(ISubscription<int> subscription, SubscriptionOptions options, List<string> subjects)
    {
        private readonly long _start = subscription.Position.Sequence;
        private long _last = subscription.Position.Sequence;
        private long _received;
        private long _dropped;
        private long _gap;
        private long _passed;

        public ISubscription<int> Subscription => subscription;

        public int Read(int most)
        {
            var items = new TopicItem<int>[most];
            var count = subscription.TryRead(items);
            foreach (var item in items.AsSpan(0, count))
            {
                // Between two items there is nothing but other subjects.
                var first = item.Sequence - (item.IsMessage ? 0 : item.Missed - 1);
                Assert.True(item.Sequence > _last, $"{item} behind {_last}");
                if (options.Subjects == "**") Assert.Equal(_last + 1, first);
                (_passed, _last) = (_passed + item.Sequence - _last - (item.IsMessage ? 1 : item.Missed), item.Sequence);
                if (item.IsMessage)
                {
                    Assert.Equal((item.Sequence, subjects[item.Message - 1]), ((long)item.Message, item.Subject));
                    Assert.True(options.Subjects == "**" || options.Subjects == item.Subject, $"{item}");
                    _received++;
                }
                else if (item.Kind == TopicItemKind.Dropped) _dropped += item.Missed;
                else _gap += item.Missed;
            }
            return count;
        }

        public void ReadToTheEnd()
        {
            while (Read(7) > 0)
            {
            }
            var ledger = subscription.Ledger;
            Assert.Equal((_received, 0L), (ledger.Received, ledger.Waiting));
            if (options.Overflow == OverflowPolicy.Disconnect && ledger.Dropped > _dropped) return; // cut off: it reads nothing more, and the rest is counted as dropped
            Assert.Equal((_dropped, _gap, subjects.Count - _start), (ledger.Dropped, ledger.Gap, ledger.Published));
            Assert.Equal(subjects.Count - _start, _received + _dropped + _gap + ledger.Filtered);
            Assert.InRange(_passed, 0, ledger.Filtered);
        }
    }
}
