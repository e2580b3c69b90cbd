using System.Text;
using CsCheck;
using DistributedPatterns.FanOutFanIn;
using DistributedPatterns.Pipeline;
using Microsoft.Extensions.Options;

namespace DistributedPatterns.Tests.FanOutFanIn;

/// <summary>The scenario: parts of a file, however it is cut, add up to the whole.</summary>
public sealed class FileScanTests : IDisposable
{
    private static readonly Gen<string> s_line = Gen.Char["ab;é \r"].Array[0, 12].Select(chars => new string(chars));

    private readonly string _path = Path.GetTempFileName();
    private readonly PipelineInputs _inputs;

    public FileScanTests()
    {
        var options = new PipelineInputOptions();
        options.Files["it"] = _path;
        _inputs = new PipelineInputs(Options.Create(options));
    }

    private static CancellationToken TestStop => TestContext.Current.CancellationToken;

    public void Dispose() => File.Delete(_path);

    [Theory]
    [InlineData("Lo", 1)]
    [InlineData("Lo", 16)]
    [InlineData("Lu", 7)]
    [InlineData("Nothing", 1_024)]
    public async Task Scan_OfUnicodeData_CountsWhatASequentialProgramCounts(string category, int parts)
    {
        var lines = await File.ReadAllLinesAsync(_inputs.PathOf("unicode-data"), TestStop);
        await using var scatter = new ChannelScatterGather(
            new BranchCatalog([FileScan.Create(_inputs)]), Options.Create(new ChannelScatterGatherOptions()), TimeProvider.System);

        var all = await scatter.Scatter<ScanPart, ScanCount>(FileScan.Name, FileScan.Cut(_inputs, "unicode-data", parts, category, ScanBy.Category)).WholeAsync(TestStop);

        Assert.Equal(new ScanCount(lines.Length, lines.Count(line => line.Split(';')[2] == category)), Sum(all.Values));
    }

    [Fact]
    public Task Scan_OfAnyFileInAnyParts_AddsUpToTheWhole() => Gen.Select(s_line.Array[0, 30], Gen.Int[1, 60], Gen.Bool, Gen.Enum<ScanBy>())
        .SampleAsync(async (lines, parts, endsWithLine, by) =>
        {
            var text = string.Join('\n', lines) + (endsWithLine ? "\n" : "");
            await File.WriteAllTextAsync(_path, text, new UTF8Encoding(false), TestStop);

            var counts = new List<ScanCount>();
            foreach (var part in FileScan.Cut(_inputs, "it", parts, "a", by)) counts.Add(await FileScan.ScanAsync(part, _path, TestStop));

            var rows = text.Split('\n').Select(row => row.TrimEnd('\r')).ToList();
            if (rows[^1].Length == 0 && !text.Split('\n')[^1].EndsWith('\r')) rows.RemoveAt(rows.Count - 1);
            var matches = by == ScanBy.Category
                ? rows.Count(row => row.Split(';') is [_, _, "a", ..])
                : rows.Sum(row => row.Split(';', ' ', '\r').Count(word => word == "a"));
            Assert.Equal(new ScanCount(rows.Count, matches), Sum(counts));
        }, iter: 500, threads: 1);

    [Fact]
    public async Task Scan_OfALineWithoutEnd_SaysThatItIsNoText()
    {
        await File.WriteAllBytesAsync(_path, new byte[200_000], TestStop);

        var error = await Assert.ThrowsAsync<InvalidDataException>(async () => await FileScan.ScanAsync(FileScan.Cut(_inputs, "it", 1, "a", ScanBy.Word)[0], _path, TestStop));

        Assert.Contains("65,536", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Cut_OfAnUnknownInput_NamesThoseThatThereAre() =>
        Assert.Contains("unicode-data", Assert.Throws<PipelineInputException>(() => FileScan.Cut(_inputs, "nothing", 4, "a", ScanBy.Word)).Message, StringComparison.Ordinal);

    private static ScanCount Sum(IEnumerable<ScanCount> counts) => counts.Aggregate(new ScanCount(), static (sum, count) => sum + count);
}
