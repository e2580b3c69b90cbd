using DistributedPatterns.Diagnostics;
using DistributedPatterns.EventLoop;
using DistributedPatterns.Tests.Guarantees;
using DistributedPatterns.Tests.Pipeline;
using DistributedPatterns.Tests.Support;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;

namespace DistributedPatterns.Tests.EventLoop;

/// <summary>The contract over <see cref="ChannelEventLoop"/>, on a clock that stands still unless a test moves it.</summary>
[Guarantees("event-loop", Variants.Channel)]
[Promises(Guarantee.Order, "a key's events in the order of their posts", nameof(Events_OfManyKeysByManyPosters_AreHandledInOrderOneAtATime))]
[Promises(Guarantee.Delivery, "one turn at a time, applied once; after its attempts an event is dead", nameof(Event_WithAttemptsLeft_IsTriedAgainAndCountsOnce), nameof(Event_WhoseHandlerFails_IsDeadAndTheNextHasItsTurn))]
[DoesNotPromise(Guarantee.ProcessDeath, "its events and states are gone")]
[DoesNotPromise(Guarantee.StaleHolder, "there is none")]
[Promises(Guarantee.Full, "a post waits or is refused, as set; counted", nameof(Post_WithoutRoom_IsRefusedOrWaits))]
public sealed class ChannelEventLoopTests : EventLoopConformance
{
    private readonly ManualTime _time = new();

    [Fact(Timeout = HangLimit)]
    public async Task Stop_HandlesWhatWaits_AndTakesNothingOnAnyMore()
    {
        var loop = New();
        await loop.PostAsync(new PostRequest("k", Handlers.Block.With(new(1))), TestStop);
        await Handlers.Blocked.Task.WaitAsync(TestStop);
        for (var i = 2; i <= 10; i++) await loop.PostAsync(Add("k", i), TestStop);

        var stopping = loop.DisposeAsync().AsTask();
        await Assert.ThrowsAsync<EventLoopStoppedException>(async () => await loop.PostAsync(Add("k", 11), TestStop));
        Handlers.Gate.Set();
        await stopping;

        Assert.Equal(new EventLedger(10, 10, 0, 0), (await loop.GetStatusAsync(TestStop)).Ledger);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Stop_OfALoopThatIsHeldUp_EndsWithItsLimit()
    {
        var loop = New();
        await loop.PostAsync(new PostRequest("k", Handlers.Block.With(new(1))), TestStop);
        await Handlers.Blocked.Task.WaitAsync(TestStop);
        await loop.PostAsync(Add("k", 2), TestStop);

        var stopping = loop.DisposeAsync().AsTask();
        while (!stopping.IsCompleted)
        {
            _time.Advance(TimeSpan.FromSeconds(1));
            await Task.Yield();
        }

        await stopping;
        Assert.Equal(2, (await loop.GetStatusAsync(TestStop)).Ledger.Waiting);
        Handlers.Gate.Set();
    }

    [Fact(Timeout = HangLimit)]
    public async Task Status_WhileATurnIsTooLong_NamesItsHandler()
    {
        await using var loop = New();
        await loop.PostAsync(new PostRequest("k", Handlers.Block.With(new(1))), TestStop);
        await Handlers.Blocked.Task.WaitAsync(TestStop);

        _time.Advance(TimeSpan.FromSeconds(3));

        var slow = Assert.Single((await loop.GetStatusAsync(TestStop)).Partitions, one => one.SlowestTurn is not null).SlowestTurn;
        Assert.Equal(new SlowTurn("block", TimeSpan.FromSeconds(3)), slow);
        Handlers.Gate.Set();
    }

    [Fact(Timeout = HangLimit)]
    public async Task Lag_IsHowLongAnEventWaited()
    {
        await using var loop = New();
        await loop.PostAsync(new PostRequest("k", Handlers.Block.With(new(1))), TestStop);
        await Handlers.Blocked.Task.WaitAsync(TestStop);
        var receipt = await loop.PostAsync(Add("k", 2), TestStop);

        _time.Advance(TimeSpan.FromSeconds(2));
        Handlers.Gate.Set();

        await Eventually.TrueAsync(async () => (await loop.GetStatusAsync(TestStop)).Ledger.Waiting == 0, TimeSpan.FromSeconds(20), () => "it is not handled");
        Assert.Equal(TimeSpan.FromSeconds(2), (await loop.GetStatusAsync(TestStop)).Partitions[receipt.Partition].Lag);
    }

    private protected override ValueTask<LoopHost> CreateAsync(TestHandlers handlers, Action<EventLoopOptions>? configure = null)
    {
        var loop = New(handlers, configure);
        return new(new LoopHost(loop, async () =>
        {
            handlers.Gate.Set();
            await loop.DisposeAsync();
        }, _time.Advance));
    }

    private ChannelEventLoop New(TestHandlers? handlers = null, Action<EventLoopOptions>? configure = null)
    {
        var options = new ChannelEventLoopOptions { Partitions = 4 };
        configure?.Invoke(options);
        return new ChannelEventLoop(new LoopHandlerCatalog((handlers ?? Handlers).All), Options.Create(options), _time, NullLogger<ChannelEventLoop>.Instance);
    }
}
