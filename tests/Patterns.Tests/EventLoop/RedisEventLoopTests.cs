using DistributedPatterns.Diagnostics;
using DistributedPatterns.EventLoop;
using DistributedPatterns.Tests.Guarantees;
using DistributedPatterns.Tests.Support;

namespace DistributedPatterns.Tests.EventLoop;

/// <summary>The contract over <see cref="RedisEventLoop"/>, with partitions owned by two processes.</summary>
[Guarantees("event-loop", Variants.Distributed, typeof(RedisEventLoopFaultTests))]
[Promises(Guarantee.Order, "a key's events in the order of their posts, over all processes",
    nameof(Events_OfManyKeysByManyPosters_AreHandledInOrderOneAtATime), nameof(RedisEventLoopFaultTests.Events_WhileOwnersJoinLeaveFreezeAndDie_CountOnceAndInOrder))]
[Promises(Guarantee.Delivery, "applied once to the state; a handler may see an event again",
    nameof(RedisEventLoopFaultTests.Owner_IsCutOffInTheMiddleOfAnEvent_AnotherOneHandlesItAndItCountsOnce))]
[Promises(Guarantee.ProcessDeath, "its partitions go on in others after the lease, with their states and timers",
    nameof(RedisEventLoopFaultTests.Owner_IsCutOffInTheMiddleOfAnEvent_AnotherOneHandlesItAndItCountsOnce), nameof(RedisEventLoopFaultTests.Timer_WhoseOwnerIsLost_HasItsTurnElsewhere))]
[Promises(Guarantee.StaleHolder, "has its writes refused by the epoch, and counted", nameof(RedisEventLoopFaultTests.Owner_FreezesPastItsLease_IsRefusedWhenItComesBack))]
[Promises(Guarantee.Full, "a post waits or is refused, as set; counted", nameof(Post_WithoutRoom_IsRefusedOrWaits))]
public abstract class RedisEventLoopTests(SharedRedis shared, RedisKind kind) : EventLoopConformance
{
    private protected override async ValueTask<LoopHost> CreateAsync(TestHandlers handlers, Action<EventLoopOptions>? configure = null)
    {
        // A busy test machine is no dead owner.
        var cluster = await LoopCluster.StartAsync(await shared.OfAsync(kind), 2, handlers.All, options =>
        {
            options.Lease = TimeSpan.FromSeconds(20);
            configure?.Invoke(options);
        });
        // Until each has its share: a partition that moves in the middle of a test would have another epoch.
        await cluster.UntilAsync(status => status.Partitions.All(one => one.Owner is not null)
            && status.Partitions.CountBy(one => one.Owner!).Select(owner => owner.Value).ToArray() is var shares
            && shares.Length == Math.Min(2, status.Partitions.Count) && shares.Max() - shares.Min() <= 1);
        return new LoopHost(cluster.Loop, () =>
        {
            handlers.Gate.Set();
            return cluster.DisposeAsync();
        });
    }
}

public sealed class RedisEventLoopOnRedisTests(SharedRedis shared) : RedisEventLoopTests(shared, RedisKind.Redis);

public sealed class RedisEventLoopOnGarnetTests(SharedRedis shared) : RedisEventLoopTests(shared, RedisKind.Garnet);
