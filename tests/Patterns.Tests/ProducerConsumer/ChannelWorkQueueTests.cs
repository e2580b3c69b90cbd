using DistributedPatterns.Diagnostics;
using DistributedPatterns.ProducerConsumer;
using DistributedPatterns.Tests.Guarantees;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

namespace DistributedPatterns.Tests.ProducerConsumer;

/// <summary>The contract over <see cref="ChannelWorkQueue{T}"/>, whose time the test moves.</summary>
[Guarantees("producer-consumer", Variants.Channel)]
[Promises(Guarantee.Order, "enqueue and priority, kept over redelivery", nameof(Items_OneByOne_ComeWithTheirPayloadsInOrder),
    nameof(Priority_OvertakesByItsStepAndStarvesNobody), nameof(Nack_WithADelay_BringsTheItemBackAtItsOldPlace))]
[Promises(Guarantee.Delivery, "at least once, one holder at a time, one end",
    nameof(ManyAtOnce_EachItemEndsOnceAndTheBoundHolds), nameof(Reserve_OfCallersThatLeave_LosesNothingAndLeavesNothingBehind))]
[DoesNotPromise(Guarantee.ProcessDeath, "the queue is gone")]
[Promises(Guarantee.StaleHolder, "is refused by its token, and counted", nameof(Settle_WithTheTokenOfAnEarlierHandOut_IsRefusedAndCounted))]
[Promises(Guarantee.Full, "waits, refuses or drops, as set; counted", nameof(Full_WithReject_SaysSoAndCountsIt),
    nameof(Full_WithWait_HoldsTheProducerUntilThereIsRoom), nameof(Full_WithDrop_MakesRoomAndSaysWhatIsGone))]
public abstract class ChannelWorkQueueTests<T>(Payloads<T> payloads) : WorkQueueConformance<T>(payloads)
{
    private readonly FakeTimeProvider _clock = new();

    protected override ValueTask<IWorkQueue<T>> CreateAsync(Action<WorkQueueOptions> configure)
    {
        var options = new ChannelWorkQueueOptions();
        configure(options);
        return new(new ChannelWorkQueue<T>("queue", options, _clock, NullLogger<ChannelWorkQueue<T>>.Instance));
    }

    protected override Task PassAsync(TimeSpan time)
    {
        _clock.Advance(time);
        return Task.CompletedTask;
    }
}

public sealed class ChannelWorkQueueOfTextTests() : ChannelWorkQueueTests<string>(new TextPayloads());

public sealed class ChannelWorkQueueOfReadingsTests() : ChannelWorkQueueTests<Reading>(new ReadingPayloads());
