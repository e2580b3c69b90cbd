using DistributedPatterns.PatternCli;
using DistributedPatterns.Tests.Gateway;
using DistributedPatterns.Tests.Support;
using Microsoft.Extensions.DependencyInjection;
using StackExchange.Redis;

namespace DistributedPatterns.Tests.PatternCli;

/// <summary>The scenario of map-reduce: the words are checked against a plain read, in both variants, over the sample and a file of one's own.</summary>
public sealed class MapReduceCommandTests(SharedRedis shared) : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("cli-tests-");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact(Timeout = 120_000)]
    public async Task Run_InThisProcess_ChecksTheWords()
    {
        AssertDone(await RunAsync("--pattern", "map-reduce"), "7,573 words", "the                          722");
        AssertDone(await RunAsync("--pattern", "map-reduce", "--input", File("one two two")), "3 words, 2 different");
    }

    [Fact(Timeout = 120_000)]
    public async Task Run_ThroughTheGateway_ChecksTheWordsAndLeavesNoInput()
    {
        var redis = await (await shared.OfAsync(RedisKind.Garnet)).ConnectAsync();
        await using var gateway = await GatewayHost.StartAsync(
            "gateway-here", services => services.AddSingleton<IConnectionMultiplexer>(_ => redis).AddMapReduceCoordinator().AddMapReduceMapper().AddMapReduceReducer(),
            ("Patterns:MapReduce:Redis:KeyTag", SharedRedis.NewTag()));
        string[] through = ["--pattern", "map-reduce", "--variant", "distributed", "--gateway", gateway.Address.ToString()];

        AssertDone(await RunAsync(through), "7,573 words");
        AssertDone(await RunAsync([.. through, "--input", File("one two two")]), "3 words, 2 different");

        Assert.Empty((await gateway.GetAsync("/api/map-reduce/distributed/inputs"))["inputs"]!.AsArray());
    }

    [Fact(Timeout = 60_000)]
    public async Task Run_OfNoFile_IsBadUsage()
    {
        var (code, _, error) = await RunAsync("--pattern", "map-reduce", "--input", "/no/such/file");

        Assert.Equal(2, code);
        Assert.Contains("/no/such/file", error, StringComparison.Ordinal);
    }

    private string File(string text)
    {
        var path = Path.Combine(_folder.FullName, "mine.txt");
        System.IO.File.WriteAllText(path, text);
        return path;
    }

    private static void AssertDone((int Code, string Output, string Error) run, params string[] mentions)
    {
        Assert.True(run.Code == 0, run.Output + run.Error);
        Assert.All(mentions, mention => Assert.Contains(mention, run.Output, StringComparison.Ordinal));
    }

    private static async Task<(int Code, string Output, string Error)> RunAsync(params string[] args)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        return (await CommandLine.RunAsync(args, output, error), output.ToString(), error.ToString());
    }
}
