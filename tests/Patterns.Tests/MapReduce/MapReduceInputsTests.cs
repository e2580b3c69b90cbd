using DistributedPatterns.MapReduce;
using DistributedPatterns.Pipeline;
using Microsoft.Extensions.Options;

namespace DistributedPatterns.Tests.MapReduce;

/// <summary>Which files a name can reach: those below the data folder, and no others.</summary>
public sealed class MapReduceInputsTests : IDisposable
{
    private readonly DirectoryInfo _outer = Directory.CreateTempSubdirectory("inputs-tests-");
    private readonly string _data;
    private readonly MapReduceInputs _inputs;

    public MapReduceInputsTests()
    {
        _data = Path.Combine(_outer.FullName, "data");
        File.WriteAllText(Path.Combine(_outer.FullName, "secret.txt"), "outside");
        foreach (var file in (string[])["inputs/book.txt", "texts/deep/poem.txt", "top.txt", "map-reduce/job/result-1.txt", "database/secret.txt"]) Write(file);
        _inputs = new MapReduceInputs(Options.Create(new PipelineInputOptions { Path = _data }));
    }

    public void Dispose() => _outer.Delete(recursive: true);

    [Theory]
    [InlineData("book.txt", "inputs/book.txt")]
    [InlineData("inputs/book.txt", "inputs/book.txt")]
    [InlineData("texts/deep/poem.txt", "texts/deep/poem.txt")]
    [InlineData("top.txt", "top.txt")]
    public void Find_BelowTheDataFolder_IsFound(string name, string file) => Assert.Equal(Path.Combine(_data, file), _inputs.Find(name).Path);

    [Theory]
    [InlineData("us-constitution.txt", 45_345)]
    [InlineData("us-constitution", 45_345)]
    [InlineData("UnicodeData.txt", 1_913_704)]
    public void Find_Sample_IsFound(string name, long length) => Assert.Equal(length, _inputs.Find(name).Length);

    [Theory]
    [InlineData("../secret.txt")]
    [InlineData("texts/../../secret.txt")]
    [InlineData("texts/./deep/poem.txt")]
    [InlineData("/etc/passwd")]
    [InlineData("//etc/passwd")]
    [InlineData("..\\secret.txt")]
    [InlineData("texts//deep/poem.txt")]
    [InlineData("texts")]
    [InlineData("texts/")]
    [InlineData("")]
    [InlineData(".")]
    [InlineData("..")]
    [InlineData("top.txt\0.png")]
    [InlineData("map-reduce/job/result-1.txt")]
    [InlineData("nothing.txt")]
    public void Find_AnythingElse_IsRefused(string name) => Assert.Throws<MapReduceInputException>(() => _inputs.Find(name));

    [Fact]
    public void Find_ThroughALink_IsRefused()
    {
        File.CreateSymbolicLink(Path.Combine(_data, "link.txt"), Path.Combine(_outer.FullName, "secret.txt"));
        File.CreateSymbolicLink(Path.Combine(_data, "inputs", "linked.txt"), Path.Combine(_outer.FullName, "secret.txt"));
        Directory.CreateSymbolicLink(Path.Combine(_data, "folder"), _outer.FullName);

        foreach (var name in (string[])["link.txt", "linked.txt", "folder/secret.txt"]) Assert.Throws<MapReduceInputException>(() => _inputs.Find(name));
    }

    [Fact]
    public void Find_AFileThatIsWrittenAgain_HasAnotherVersion()
    {
        var before = _inputs.Find("top.txt");
        File.SetLastWriteTimeUtc(before.Path, File.GetLastWriteTimeUtc(before.Path).AddSeconds(1));

        Assert.NotEqual(before, _inputs.Find("top.txt"));
    }

    [Theory]
    [InlineData("book.txt", true)]
    [InlineData("A-1_b.2", true)]
    [InlineData("us-constitution.txt", false)]
    [InlineData("unicode-data", false)]
    [InlineData(".hidden", false)]
    [InlineData("a/b", false)]
    [InlineData("", false)]
    public void IsFree_OfNames_RefusesPathsAndSamples(string name, bool expected) => Assert.Equal(expected, _inputs.IsFree(name));

    private void Write(string file)
    {
        var path = Path.Combine(_data, file);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllText(path, file);
    }
}
