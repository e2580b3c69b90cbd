using System.Security.Cryptography;
using System.Text;
using DistributedPatterns.MapReduce;
using DistributedPatterns.Tests.Support;

namespace DistributedPatterns.Tests.MapReduce;

/// <summary>What both variants of map-reduce promise.</summary>
public abstract partial class MapReduceConformance
{
    private protected const int HangLimit = 120_000;

    private protected static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    private protected static CancellationToken TestStop => TestContext.Current.CancellationToken;

    private protected abstract Task<MapReduceSystem> CreateAsync(Action<MapReduceOptions>? configure = null, params IMapReduceJob[] jobs);

    [Fact(Timeout = HangLimit)]
    public async Task WordCount_OfTheConstitution_IsWhatCoreutilsCount()
    {
        await using var system = await CreateAsync();

        var (end, result) = await system.RunAsync(new("word-count", "us-constitution.txt"));

        Assert.Equal((MapReduceState.Completed, null), (end.State, end.Error));
        Assert.Equal(7_573, end.Report!.Emitted);
        Assert.Equal(Plainly.WordCount(Plainly.Constitution), result);
        Assert.Equal(
            [new("the", 722), new("of", 489), new("shall", 306), new("and", 261), new("to", 202)],
            (await system.MapReduce.TopAsync(end.Id, 5, TestStop))!);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Report_AddsUp()
    {
        await using var system = await CreateAsync();

        var (end, result) = await system.RunAsync(new("word-count", "us-constitution") { SplitBytes = 10_000, Reducers = 3 });

        var report = end.Report!;
        Assert.Equal((Encoding.UTF8.GetByteCount(Plainly.Constitution), 1_130, 0), (report.Bytes, report.Records, report.Skipped));
        Assert.InRange(report.Shuffled, report.Keys, report.Emitted);
        Assert.Equal((result.Count(letter => letter == '\n'), Encoding.UTF8.GetByteCount(result)), (report.Keys, report.ResultBytes));
        Assert.Equal(Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(result))), report.Sha256);
        Assert.Equal((new TaskProgress(5, 5), new TaskProgress(3, 3)), (end.Maps, end.Reduces));
        Assert.Equal((0, 0, 1), (report.Repeated, report.Backups, report.Attempts));
        await Eventually.TrueAsync(
            async () => await system.MapReduce.GetStatsAsync(TestStop) == new MapReduceStats(1, 0, 0, 1, 0, 0), Limit, () => "the counts do not add up");
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(1_024, 1, 1, CombinerUse.On)]
    [InlineData(1_024, 8, 7, CombinerUse.On)]
    [InlineData(3_000, 2, 5, CombinerUse.Off)]
    [InlineData(1_000_000, 4, 64, CombinerUse.On)]
    public async Task Result_OfEveryJob_DoesNotDependOnHowTheWorkIsDivided(int split, int mappers, int reducers, CombinerUse combiner)
    {
        var text = Plainly.Constitution.ReplaceLineEndings("\r\n") + "The end without an end of line";
        await using var system = await CreateAsync(options => (options.MapperMemoryBytes, options.MergeWidth) = (64 << 10, 3), new LongestLineJob());
        system.Write("texts/constitution.txt", text);

        Assert.Equal(Plainly.WordCount(text), await ResultAsync("word-count"));
        Assert.Equal(Plainly.InvertedIndex(text), await ResultAsync("inverted-index"));
        Assert.Equal(Plainly.LongestLine(text), await ResultAsync("longest-line"));

        async Task<string> ResultAsync(string job)
        {
            var (end, result) = await system.RunAsync(new(job, "texts/constitution.txt") { SplitBytes = split, Mappers = mappers, Reducers = reducers, Combiner = combiner });
            Assert.Null(end.Error);
            Assert.Equal((text.Length + split - 1) / split, end.Maps.Total);
            return result;
        }
    }

    [Fact(Timeout = HangLimit)]
    public async Task Memory_LessThanThePairsNeed_SpillsAndGivesTheSame()
    {
        await using var system = await CreateAsync(options => (options.MapperMemoryBytes, options.MergeWidth) = (64 << 10, 2), new LongestLineJob(ValueFold.Min));

        var (names, result) = await system.RunAsync(new("field-count", "UnicodeData.txt") { Parameters = new Dictionary<string, string> { ["field"] = "2" }, SplitBytes = 1 << 20 });
        var (_, shortest) = await system.RunAsync(new("longest-line", "unicode-data") { Combiner = CombinerUse.Off });
        var (index, postings) = await system.RunAsync(new("inverted-index", "unicode-data"));

        Assert.InRange(names.Report!.Spills, 20, 1_000);
        Assert.Equal(Plainly.FieldCount(Plainly.UnicodeData.TrimEnd(), 2), result);
        Assert.Equal(Plainly.LongestLine(Plainly.UnicodeData, shortest: true), shortest);
        Assert.InRange(index.Report!.Spills, 10, 10_000);
        Assert.Equal(Plainly.InvertedIndex(Plainly.UnicodeData), postings);
    }

    [Fact(Timeout = HangLimit)]
    public async Task FieldCount_OfUnicodeData_IsWhatCutAndUniqCount()
    {
        await using var system = await CreateAsync();

        var (end, result) = await system.RunAsync(new("field-count", "UnicodeData.txt") { SplitBytes = 100_000 });

        Assert.Equal(Plainly.FieldCount(Plainly.UnicodeData.TrimEnd(), 3), result);
        Assert.Equal([new("Lo", 17_273), new("So", 6_634), new("Ll", 2_233)], (await system.MapReduce.TopAsync(end.Id, 3, TestStop))!);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Combiner_Off_SendsEveryPairOn()
    {
        await using var system = await CreateAsync();

        var (with, first) = await system.RunAsync(new("word-count", "us-constitution"));
        var (without, second) = await system.RunAsync(new("word-count", "us-constitution") { Combiner = CombinerUse.Off });

        Assert.Equal(first, second);
        Assert.Equal((7_573, 7_573), (without.Report!.Emitted, without.Report.Shuffled));
        Assert.InRange(with.Report!.Shuffled, with.Report.Keys, 2_500);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Input_WithoutContent_HasAnEmptyResult()
    {
        await using var system = await CreateAsync();
        system.Write("empty.txt", "");

        var (end, result) = await system.RunAsync(new("word-count", "empty.txt"));

        Assert.Equal((MapReduceState.Completed, "", 0L), (end.State, result, end.Report!.Keys));
        Assert.Empty((await system.MapReduce.TopAsync(end.Id, 10, TestStop))!);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Top_OfEqualValues_IsByKey_AndOfSetsBySize()
    {
        await using var system = await CreateAsync();
        system.Write("letters.txt", "b b\nc\na a\nd d d\na\n");

        var (counts, _) = await system.RunAsync(new("word-count", "letters.txt"));
        var (index, postings) = await system.RunAsync(new("inverted-index", "letters.txt"));

        Assert.Equal([new("a", 3), new("d", 3), new("b", 2)], (await system.MapReduce.TopAsync(counts.Id, 3, TestStop))!);
        Assert.Equal([new("a", 2), new("b", 1)], (await system.MapReduce.TopAsync(index.Id, 2, TestStop))!);
        Assert.Equal("a\t6,16\nb\t0\nc\t4\nd\t10\n", postings);
    }
}
