using DistributedPatterns.Diagnostics;
using DistributedPatterns.Tests.Guarantees;
using DistributedPatterns.Tests.Support;
using DistributedPatterns.WorkerPool;

namespace DistributedPatterns.Tests.WorkerPool;

/// <summary>The contract over <see cref="RedisWorkerPool"/>: a submitter and three hosts with workers, on a real server.</summary>
[Guarantees("worker-pool", Variants.Distributed, typeof(RedisWorkerPoolFaultTests))]
[DoesNotPromise(Guarantee.Order, "none: jobs run side by side")]
[Promises(Guarantee.Delivery, "at least once, perhaps twice at a time; one outcome counts",
    nameof(RedisWorkerPoolFaultTests.Run_WhoseWorkerIsKilled_IsDoneByAnotherOneAndCountsOnce),
    nameof(RedisWorkerPoolFaultTests.Run_WhoseWorkerIsFrozenPastItsLease_HasItsOutcomeRefusedAndCounted))]
[Promises(Guarantee.ProcessDeath, "another worker does its jobs; a submitter's jobs are done all the same",
    nameof(RedisWorkerPoolFaultTests.Run_WhoseWorkerIsKilled_IsDoneByAnotherOneAndCountsOnce),
    nameof(RedisWorkerPoolFaultTests.Submit_WhoseProcessLeaves_IsRunAndFoundByAnyOther))]
[Promises(Guarantee.StaleHolder, "has its outcome refused by its token, and counted",
    nameof(RedisWorkerPoolFaultTests.Run_WhoseWorkerIsFrozenPastItsLease_HasItsOutcomeRefusedAndCounted))]
[Promises(Guarantee.Full, "a submit waits or is refused, as set; counted",
    nameof(Submit_WhenFullAndToWait_GoesOnWhenThereIsRoom), nameof(Submit_WhenFullAndToReject_IsRefusedAndCountedUntilThereIsRoom))]
public abstract class RedisWorkerPoolTests(SharedRedis shared, RedisKind kind) : WorkerPoolConformance
{
    protected override bool KeepsWhatIsHandedBack => true;

    protected override bool MayTakeOnWhatWasLeft => true;

    protected override int Processes => 3;

    protected override async ValueTask<WorkerPoolHost> CreateAsync(Action<WorkerPoolOptions>? configure, params JobDefinition[] definitions)
    {
        var cluster = await RedisPoolCluster.StartAsync(await shared.OfAsync(kind), Processes, configure, definitions);
        return new WorkerPoolHost(cluster.Pool, cluster.DisposeAsync);
    }
}

public sealed class RedisWorkerPoolOnGarnetTests(SharedRedis shared) : RedisWorkerPoolTests(shared, RedisKind.Garnet);

public sealed class RedisWorkerPoolOnRedisTests(SharedRedis shared) : RedisWorkerPoolTests(shared, RedisKind.Redis);
