using DistributedPatterns.MapReduce;
using DistributedPatterns.Tests.Support;

namespace DistributedPatterns.Tests.MapReduce;

public sealed class ChannelMapReduceTests : MapReduceConformance
{
    private protected override Task<MapReduceSystem> CreateAsync(Action<MapReduceOptions>? configure = null, params IMapReduceJob[] jobs) =>
        MapReduceSystem.StartChannelAsync(configure, jobs);
}

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
