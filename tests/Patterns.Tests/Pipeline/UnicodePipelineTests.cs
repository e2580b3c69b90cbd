using System.Text;
using DistributedPatterns.Diagnostics;
using DistributedPatterns.Pipeline;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;

namespace DistributedPatterns.Tests.Pipeline;

public sealed class UnicodePipelineTests : IAsyncLifetime
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("patterns-tests-");
    private ServiceProvider _services = null!;

    public ValueTask InitializeAsync()
    {
        _services = new ServiceCollection()
            .AddSingleton<IConfiguration>(new ConfigurationBuilder().Build())
            .AddChannelPipeline()
            .AddPipelineScenarios(options =>
            {
                options.Path = _folder.FullName;
                options.Files["mine"] = Path.Combine(_folder.FullName, "mine.txt");
            })
            .BuildServiceProvider();
        return default;
    }

    public async ValueTask DisposeAsync()
    {
        await _services.DisposeAsync();
        _folder.Delete(recursive: true);
    }

    [Fact]
    public async Task Run_OfUnicodeData_GivesTheKnownNumbers()
    {
        var (status, summary) = await RunAsync("unicode-data");

        Assert.Equal(PipelineState.Completed, status.State);
        Assert.Equal((34_924, 29, 288_767), (summary!.Records, summary.Categories, summary.CodePoints));
        Assert.Equal(["Lo", "So", "Ll", "Mn", "Lu"], summary.ByCategory.Take(5).Select(row => row.Category));
        Assert.Equal([17_273, 6_634, 2_233, 1_985, 1_831], summary.ByCategory.Take(5).Select(row => row.Records));
        Assert.Equal(131_612, summary.ByCategory[0].CodePoints);
        Assert.Equal(["Zl", "Zp"], summary.ByCategory.TakeLast(2).Select(row => row.Category));
        Assert.Equal((34_924, 34_924, 0), (status.Ledger.Read, status.Ledger.Done, status.Ledger.InFlight));
    }

    [Theory]
    [InlineData("0041;TOO;FEW", "parse", "has 3 fields separated by ';' instead of 15")]
    [InlineData("0041;A;Lu;0;L;;;;;N;;;;0061;;", "parse", "more than 15 fields")]
    [InlineData("", "parse", "has 1 field instead of 15")]
    [InlineData("110000;BEYOND;Lu;0;L;;;;;N;;;;;", "validate", "10FFFF")]
    [InlineData("FFFFFFFF;NEGATIVE;Lu;0;L;;;;;N;;;;;", "validate", "FFFFFFFF")]
    [InlineData("G041;NO NUMBER;Lu;0;L;;;;;N;;;;;", "validate", "G041")]
    [InlineData("0041;;Lu;0;L;;;;;N;;;;;", "validate", "name is empty")]
    [InlineData("0041;A;Xx;0;L;;;;;N;;;;;", "validate", "Xx")]
    public async Task Run_WithMalformedLine_DivertsItWithItsNumber(string malformed, string stage, string reason)
    {
        Write($"0041;A;Lu;0;L;;;;;N;;;;0061;\r\n{malformed}\r\n0042;B;Lu;0;L;;;;;N;;;;0062;");

        var (status, summary) = await RunAsync("mine");

        var diverted = Assert.Single(status.Diverted);
        Assert.Equal((2, stage), (diverted.Number, diverted.Stage));
        Assert.Contains(reason, diverted.Reason, StringComparison.Ordinal);
        Assert.Equal((3, 2, 1), (status.Ledger.Read, status.Ledger.Done, status.Ledger.Diverted));
        Assert.Equal((2, 1, 2), (summary!.Records, summary.Categories, summary.CodePoints));
    }

    [Fact]
    public async Task Run_WithRangeEndsInAnyOrder_CountsTheWholeRange()
    {
        Write("4DBF;<CJK Ideograph Extension A, Last>;Lo;0;L;;;;;N;;;;;\n0041;A;Lu;0;L;;;;;N;;;;0061;\n3400;<CJK Ideograph Extension A, First>;Lo;0;L;;;;;N;;;;;\n");

        var (_, summary) = await RunAsync("mine");

        Assert.Equal(0x4DBF - 0x3400 + 1, summary!.ByCategory.Single(row => row.Category == "Lo").CodePoints);
    }

    [Theory]
    [InlineData("NUL byte", 0x00)]
    [InlineData("not UTF-8", 0xFF)]
    public async Task Run_OfBinaryFile_FailsAtTheLineAndSaysWhy(string reason, byte bad)
    {
        File.WriteAllBytes(Path.Combine(_folder.FullName, "mine.txt"), [.. "0041;A;Lu;0;L;;;;;N;;;;0061;\n"u8, bad, (byte)'\n']);

        var (status, _) = await RunAsync("mine");

        Assert.Equal(PipelineState.Failed, status.State);
        Assert.Equal(("read", 2L), (status.Error!.Stage, status.Error.Number));
        Assert.Contains("'mine' is not a text file", status.Error.Message, StringComparison.Ordinal);
        Assert.Contains(reason, status.Error.Message, StringComparison.Ordinal);
    }

    // 4 GiB without a line's end, and on the disk only its first block: whoever gathers the line before judging it cannot
    // hold it, for no array and no string is that long. The line's first bytes are text, so not they are what is refused.
    [Fact(Timeout = 30_000)]
    public async Task Run_OfEndlessLine_FailsBeforeItFillsTheMemory()
    {
        using (var file = File.Create(Path.Combine(_folder.FullName, "mine.txt")))
        {
            file.Write(Encoding.UTF8.GetBytes(new string('a', 2 * TextLines.MaxLineBytes)));
            file.SetLength(4L << 30);
        }

        var (status, _) = await RunAsync("mine");

        Assert.Equal(PipelineState.Failed, status.State);
        Assert.Contains("more than 65,536 bytes", status.Error!.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(TextLines.MaxLineBytes, PipelineState.Completed)]
    [InlineData(TextLines.MaxLineBytes + 1, PipelineState.Failed)]
    public async Task Run_OfLongLine_TakesExactlyTheLimit(int bytes, PipelineState expected)
    {
        Write(new string('a', bytes) + "\n");

        var (status, _) = await RunAsync("mine");

        Assert.Equal(expected, status.State);
    }

    [Fact]
    public async Task Run_OfFileWithByteOrderMark_ReadsTheFirstLine()
    {
        File.WriteAllText(Path.Combine(_folder.FullName, "mine.txt"), "0041;A;Lu;0;L;;;;;N;;;;0061;\n", Encoding.UTF8);

        var (status, summary) = await RunAsync("mine");

        Assert.Empty(status.Diverted);
        Assert.Equal(1, summary!.Records);
    }

    [Theory]
    [InlineData("nothing")]
    [InlineData("../../etc/passwd")]
    [InlineData("upload-../../../etc/passwd")]
    [InlineData("upload-00000000/../../x")]
    [InlineData("")]
    public async Task StartAsync_WithUnknownInput_NamesThoseThereAre(string input)
    {
        var error = await Assert.ThrowsAsync<PipelineInputException>(() => RunAsync(input));

        Assert.Contains("unicode-data", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Echo_OfManyItems_CountsAndSumsThemAll()
    {
        var definition = _services.GetRequiredService<PipelineDefinition<EchoSummary>>();
        var run = await Pipeline.StartAsync(new(EchoPipeline.Name, "100000"), TestContext.Current.CancellationToken);

        var summary = await definition.ResultOfAsync(run, TestContext.Current.CancellationToken);

        Assert.Equal(new EchoSummary(100_000, 100_000L * 100_001), summary);
    }

    [Theory]
    [InlineData("0")]
    [InlineData("-1")]
    [InlineData("10000001")]
    [InlineData("99999999999999999999")]
    [InlineData("1,000")]
    [InlineData("many")]
    [InlineData(" 1")]
    public async Task Echo_OfNoCount_NamesTheAcceptedRange(string input)
    {
        var error = await Assert.ThrowsAsync<PipelineInputException>(
            () => Pipeline.StartAsync(new(EchoPipeline.Name, input), TestContext.Current.CancellationToken));

        Assert.Contains("1 to 10,000,000", error.Message, StringComparison.Ordinal);
    }

    private IPipeline Pipeline => _services.GetRequiredKeyedService<IPipeline>(Variants.Channel);

    private void Write(string text) => File.WriteAllText(Path.Combine(_folder.FullName, "mine.txt"), text, new UTF8Encoding(false));

    private async Task<(PipelineStatus Status, UnicodeSummary? Summary)> RunAsync(string input)
    {
        var definition = _services.GetRequiredService<PipelineDefinition<UnicodeSummary>>();
        var run = await Pipeline.StartAsync(new(UnicodePipeline.Name, input), TestContext.Current.CancellationToken);
        var status = await run.WaitAsync(TestContext.Current.CancellationToken);
        return (status, status.Result is null ? null : await definition.ResultOfAsync(run, TestContext.Current.CancellationToken));
    }
}
