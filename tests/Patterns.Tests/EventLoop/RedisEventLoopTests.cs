using DistributedPatterns.EventLoop;
using DistributedPatterns.Tests.Support;

namespace DistributedPatterns.Tests.EventLoop;

/// <summary>The contract over <see cref="RedisEventLoop"/>, with partitions owned by two processes.</summary>
public abstract class RedisEventLoopTests(SharedRedis shared, RedisKind kind) : EventLoopConformance
{
    public override bool SurvivesProcessDeath => true;

    public override bool IsFenced => true;

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
            && status.Partitions.Select(one => one.Owner).Distinct().Count() == Math.Min(2, status.Partitions.Count));
        return new LoopHost(cluster.Loop, () =>
        {
            handlers.Gate.Set();
            return cluster.DisposeAsync();
        });
    }
}

public sealed class RedisEventLoopOnRedisTests(SharedRedis shared) : RedisEventLoopTests(shared, RedisKind.Redis);

public sealed class RedisEventLoopOnGarnetTests(SharedRedis shared) : RedisEventLoopTests(shared, RedisKind.Garnet);
