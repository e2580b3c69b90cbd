using DistributedPatterns.Diagnostics;
using DistributedPatterns.MapReduce;
using DistributedPatterns.Tests.Guarantees;
using DistributedPatterns.Tests.Support;

namespace DistributedPatterns.Tests.MapReduce;

[Guarantees("map-reduce", Variants.Channel)]
[Promises(Guarantee.Order, "sorted by the keys' bytes, however the work is divided", nameof(Result_OfEveryJob_DoesNotDependOnHowTheWorkIsDivided))]
[Promises(Guarantee.Delivery, "a record counts once", nameof(Report_AddsUp), nameof(WordCount_OfTheConstitution_IsWhatCoreutilsCount))]
[DoesNotPromise(Guarantee.ProcessDeath, "its jobs are gone")]
[DoesNotPromise(Guarantee.StaleHolder, "there is none")]
[Promises(Guarantee.Full, "a job beyond `MaxJobs` is refused; pairs beyond `MapperMemoryBytes` go to disk",
    nameof(Start_AsManyAsAllowedAreOpen_IsRefused_UntilOneHasEnded), nameof(Memory_LessThanThePairsNeed_SpillsAndGivesTheSame))]
public sealed class ChannelMapReduceTests : MapReduceConformance
{
    private protected override Task<MapReduceSystem> CreateAsync(Action<MapReduceOptions>? configure = null, params IMapReduceJob[] jobs) =>
        MapReduceSystem.StartChannelAsync(configure, jobs);
}

[Guarantees("map-reduce", Variants.Distributed, typeof(RedisMapReduceFaultTests), typeof(MapReduceScriptTests))]
[Promises(Guarantee.Order, "sorted by the keys' bytes, however the work is divided", nameof(Result_OfEveryJob_DoesNotDependOnHowTheWorkIsDivided))]
[Promises(Guarantee.Delivery, "a record counts once; a split may be mapped again",
    nameof(Report_AddsUp), nameof(RedisMapReduceFaultTests.Mapper_DiesWithASplit_AnotherOneMapsIt), nameof(MapReduceScriptTests.Commits_OfManyAtOnce_OneCounts))]
[Promises(Guarantee.ProcessDeath, "another one does its task, or goes on with its job", nameof(RedisMapReduceFaultTests.Mapper_DiesWithASplit_AnotherOneMapsIt),
    nameof(RedisMapReduceFaultTests.Reducer_DiesWithAPartition_AnotherOneReducesIt), nameof(RedisMapReduceFaultTests.Coordinator_Dies_AnotherOneGoesOnFromTheCommits))]
[Promises(Guarantee.StaleHolder, "what it made is not committed, and deleted", nameof(RedisMapReduceFaultTests.Mapper_IsSlow_ASecondAttemptEndsTheJob_AndTheFirstIsDiscarded))]
[Promises(Guarantee.Full, "a job beyond `MaxJobs` of all processes is refused; pairs beyond `MapperMemoryBytes` go to disk",
    nameof(Start_AsManyAsAllowedAreOpen_IsRefused_UntilOneHasEnded), nameof(Memory_LessThanThePairsNeed_SpillsAndGivesTheSame))]
public abstract class RedisMapReduceTests(SharedRedis shared, RedisKind kind) : MapReduceConformance
{
    private protected override async Task<MapReduceSystem> CreateAsync(Action<MapReduceOptions>? configure = null, params IMapReduceJob[] jobs) =>
        await MapReduceSystem.StartRedisAsync(await shared.OfAsync(kind), configure, jobs: jobs);
}

public sealed class RedisMapReduceOnGarnetTests(SharedRedis shared) : RedisMapReduceTests(shared, RedisKind.Garnet);

public sealed class RedisMapReduceOnRedisTests(SharedRedis shared) : RedisMapReduceTests(shared, RedisKind.Redis);

/// <summary>The same job in both variants gives the same bytes.</summary>
public sealed class MapReduceVariantsTests(SharedRedis shared)
{
    [Theory(Timeout = 120_000)]
    [InlineData("word-count", "us-constitution.txt")]
    [InlineData("inverted-index", "us-constitution.txt")]
    [InlineData("field-count", "UnicodeData.txt")]
    public async Task Result_OfBothVariants_IsTheSameToAByte(string job, string input)
    {
        await using var here = await MapReduceSystem.StartChannelAsync(null);
        await using var across = await MapReduceSystem.StartRedisAsync(await shared.OfAsync(RedisKind.Garnet), null);

        var (first, text) = await here.RunAsync(new(job, input) { SplitBytes = 50_000, Reducers = 3 });
        var (second, same) = await across.RunAsync(new(job, input) { SplitBytes = 7_000, Reducers = 5 });

        Assert.Equal(text, same);
        Assert.Equal(first.Report!.Sha256, second.Report!.Sha256);
        Assert.Equal(first.Report.Emitted, second.Report.Emitted);
    }
}
