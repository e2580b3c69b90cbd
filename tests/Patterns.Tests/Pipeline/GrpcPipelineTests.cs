using DistributedPatterns.Diagnostics;
using DistributedPatterns.Pipeline;
using DistributedPatterns.Tests.Guarantees;
using DistributedPatterns.Tests.Support;

namespace DistributedPatterns.Tests.Pipeline;

/// <summary>The contract over <see cref="GrpcPipeline"/>: a producer, three workers and two reducers on real sockets, and a real server.</summary>
[Guarantees("pipeline", Variants.Distributed, typeof(GrpcPipelineFaultTests), typeof(RedisRunStoreTests))]
[Promises(Guarantee.Order, "kept, unless a stage gives it up",
    nameof(Run_WithOrderedStages_KeepsTheOrderWhateverTheDegree), nameof(GrpcPipelineFaultTests.Run_AProcessIsLostInMidRun_GivesTheSameResultInOrder))]
[Promises(Guarantee.Delivery, "an item counts once; a stage may see it again", nameof(GrpcPipelineFaultTests.Run_AProcessIsLostInMidRun_GivesTheSameResultInOrder))]
[Promises(Guarantee.ProcessDeath, "the run goes on in others",
    nameof(GrpcPipelineFaultTests.Run_AProcessIsLostInMidRun_GivesTheSameResultInOrder), nameof(GrpcPipelineFaultTests.Run_EveryReducerIsLost_WaitsForANewOneAndReadsTheInputAgain))]
[Promises(Guarantee.StaleHolder, "is refused by its epoch",
    nameof(RedisRunStoreTests.Claim_AfterTheLeaseRanOut_HasAHigherEpochAndFencesTheOlder), nameof(RedisRunStoreTests.Replay_ByItsDriver_RaisesTheEpochAndFencesTheOlder))]
[Promises(Guarantee.Full, "the source waits; a run beyond `MaxRuns` of all processes is refused",
    nameof(Run_TheSinkIsBlocked_StopsTheSourceWithinTheBound), nameof(RedisRunStoreTests.Create_ByManyAtOnce_NeverExceedsTheBound))]
public abstract class GrpcPipelineTests(SharedRedis shared, RedisKind kind) : PipelineConformance
{
    // The window of 32 messages, one in the source's hand and one on its way into the window.
    protected override long MostInFlight => (32 + 2) * 256;

    protected override async ValueTask<PipelineHost> CreateAsync(int maxRuns, params PipelineDefinition[] definitions)
    {
        var cluster = await GrpcPipelineCluster.StartAsync(await shared.OfAsync(kind), definitions,
            options => (options.MaxRuns, options.Lease) = (maxRuns, TimeSpan.FromSeconds(30))); // no test here waits for its end
        return new PipelineHost(cluster.Pipeline, cluster.DisposeAsync);
    }
}

public sealed class GrpcPipelineOnGarnetTests(SharedRedis shared) : GrpcPipelineTests(shared, RedisKind.Garnet);

public sealed class GrpcPipelineOnRedisTests(SharedRedis shared) : GrpcPipelineTests(shared, RedisKind.Redis);
