using DistributedPatterns.Diagnostics;
using DistributedPatterns.ProducerConsumer;
using DistributedPatterns.Tests.Guarantees;
using DistributedPatterns.Tests.Support;
using Microsoft.Extensions.Logging.Abstractions;
using StackExchange.Redis;

namespace DistributedPatterns.Tests.ProducerConsumer;

/// <summary>The contract over <see cref="RedisWorkQueue{T}"/> on a real server.</summary>
[Guarantees("producer-consumer", Variants.Distributed, typeof(RedisWorkQueueFaultTests), typeof(QueueScriptTests))]
[Promises(Guarantee.Order, "enqueue and priority, kept over redelivery", nameof(Items_OneByOne_ComeWithTheirPayloadsInOrder),
    nameof(Priority_OvertakesByItsStepAndStarvesNobody), nameof(Nack_WithADelay_BringsTheItemBackAtItsOldPlace))]
[Promises(Guarantee.Delivery, "at least once, one end; a holder past its lease may still be at work",
    nameof(ManyAtOnce_EachItemEndsOnceAndTheBoundHolds), nameof(RedisWorkQueueFaultTests.Holder_FrozenPastItsLease_IsToldToStopAndRefused))]
[Promises(Guarantee.ProcessDeath, "what it held comes back after the lease; what the server had logged survives the server",
    nameof(QueueScriptTests.Reserve_AfterTheLeaseRanOut_SaysWhetherTheHolderWasEverHeardOf),
    nameof(RedisWorkQueueFaultTests.Server_KilledAndStartedAgainFromItsLog_LosesNothingThatItHadLoggedAndGoesOn))]
[Promises(Guarantee.StaleHolder, "is refused by its token, and counted", nameof(RedisWorkQueueFaultTests.Holder_FrozenPastItsLease_IsToldToStopAndRefused))]
[Promises(Guarantee.Full, "waits, refuses or drops, as set; counted", nameof(Full_WithReject_SaysSoAndCountsIt),
    nameof(Full_WithWait_HoldsTheProducerUntilThereIsRoom), nameof(Full_WithDrop_MakesRoomAndSaysWhatIsGone))]
public abstract class RedisWorkQueueTests<T>(SharedRedis shared, RedisKind kind, Payloads<T> payloads) : WorkQueueConformance<T>(payloads), IAsyncLifetime
{
    private readonly Payloads<T> _payloads = payloads;
    private ConnectionMultiplexer? _redis;

    public async ValueTask InitializeAsync() => _redis = await (await shared.OfAsync(kind)).ConnectAsync();

    // The clock is real, and a machine may be busy while the test looks.
    protected override TimeSpan Brief => TimeSpan.FromSeconds(5);

    protected override bool MayAcceptWhatWasLeft => true;

    protected override ValueTask<IWorkQueue<T>> CreateAsync(Action<WorkQueueOptions> configure)
    {
        var options = new RedisWorkQueueOptions { Lease = TimeSpan.FromMinutes(1) };
        configure(options);
        return new(new RedisWorkQueue<T>(
            _redis!, SharedRedis.NewTag(), _payloads.Codec, options, TimeProvider.System, NullLogger<RedisWorkQueue<T>>.Instance));
    }

    // The server counts in whole milliseconds, and a timer here may be early by one of the system's ticks.
    protected override Task PassAsync(TimeSpan time) => Task.Delay(time + TimeSpan.FromMilliseconds(20), TimeProvider.System, TestStop);

    public async ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        if (_redis is not null) await _redis.DisposeAsync();
    }
}

public sealed class RedisWorkQueueOfTextOnRedisTests(SharedRedis shared) : RedisWorkQueueTests<string>(shared, RedisKind.Redis, new TextPayloads());

public sealed class RedisWorkQueueOfTextOnGarnetTests(SharedRedis shared) : RedisWorkQueueTests<string>(shared, RedisKind.Garnet, new TextPayloads());

public sealed class RedisWorkQueueOfReadingsOnRedisTests(SharedRedis shared) : RedisWorkQueueTests<Reading>(shared, RedisKind.Redis, new ReadingPayloads());

public sealed class RedisWorkQueueOfReadingsOnGarnetTests(SharedRedis shared) : RedisWorkQueueTests<Reading>(shared, RedisKind.Garnet, new ReadingPayloads());
