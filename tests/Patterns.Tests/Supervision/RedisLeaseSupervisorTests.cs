using DistributedPatterns.Diagnostics;
using DistributedPatterns.Supervision;
using DistributedPatterns.Tests.Guarantees;
using DistributedPatterns.Tests.Support;

namespace DistributedPatterns.Tests.Supervision;

/// <summary>The contract over <see cref="RedisLeaseSupervisor"/>, on a real server.</summary>
/// <remarks>
/// The lease is long: a test process that stops for seconds on a busy machine must not look dead. What happens when one does:
/// <see cref="RedisLeaseSupervisorFaultTests"/>.
/// </remarks>
[Guarantees("supervision", Variants.Distributed, typeof(RedisLeaseSupervisorFaultTests))]
[Promises(Guarantee.Order, "started in order, stopped in reverse",
    nameof(Start_OfChildren_IsInOrderEachWhenTheOneBeforeIsUp), nameof(Stop_OfTheProcesses_StopsInReverseAndIsNoFailure))]
[Promises(Guarantee.Delivery, "each start under a higher epoch, and every one accounted for; one past its lease may still run",
    nameof(Storm_OfFailures_LeavesEveryStartAccountedForAndEpochsRising), nameof(RedisLeaseSupervisorFaultTests.Process_FreezesPastItsLease_IsRefusedWhenItComesBack))]
[Promises(Guarantee.ProcessDeath, "its children run elsewhere after the lease, with what they kept",
    nameof(RedisLeaseSupervisorFaultTests.Process_LosesItsConnection_ItsChildrenRunElsewhereAndStopHere),
    nameof(RedisLeaseSupervisorFaultTests.Children_OfProcessesThatComeAndGo_CountOnAndNeverBack))]
[Promises(Guarantee.StaleHolder, "its writes are refused by its epoch, and counted", nameof(RedisLeaseSupervisorFaultTests.Process_FreezesPastItsLease_IsRefusedWhenItComesBack))]
[Promises(Guarantee.Full, "one restart beyond `MaxRestarts`, over all processes, stops all", nameof(Crash_OnceMoreThanTheBudgetAllows_StopsAllUntilReset))]
public abstract class RedisLeaseSupervisorTests(SharedRedis shared, RedisKind kind, int processes) : SupervisorConformance
{
    protected override async ValueTask<SupervisorHost> CreateAsync(Action<SupervisionOptions>? configure, params ChildDefinition[] children)
    {
        var cluster = await SupervisionCluster.StartAsync(await shared.OfAsync(kind), processes, options =>
        {
            options.Lease = TimeSpan.FromMinutes(1);
            configure?.Invoke(options);
        }, children);
        return new SupervisorHost(cluster.Supervisor, cluster.StopRunnersAsync);
    }
}

public sealed class RedisLeaseSupervisorOnGarnetTests(SharedRedis shared) : RedisLeaseSupervisorTests(shared, RedisKind.Garnet, processes: 1);

public sealed class RedisLeaseSupervisorOnRedisTests(SharedRedis shared) : RedisLeaseSupervisorTests(shared, RedisKind.Redis, processes: 1);
