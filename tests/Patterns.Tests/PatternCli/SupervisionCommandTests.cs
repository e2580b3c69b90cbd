using DistributedPatterns.PatternCli;
using DistributedPatterns.Tests.Gateway;
using DistributedPatterns.Tests.Support;
using Microsoft.Extensions.DependencyInjection;
using StackExchange.Redis;

namespace DistributedPatterns.Tests.PatternCli;

/// <summary>The scenario of supervision: children crash, exit and hang, and their counts are checked against the file, in both variants.</summary>
public sealed class SupervisionCommandTests(SharedRedis shared)
{
    [Fact(Timeout = 90_000)]
    public async Task Run_InThisProcess_CountsAsTheFile() => AssertDone(await RunAsync("--pattern", "supervision"));

    [Fact(Timeout = 90_000)]
    public async Task Run_OfAFile_CountsThat()
    {
        var file = Path.Combine(Directory.CreateTempSubdirectory("cli-tests-").FullName, "small.txt");
        await File.WriteAllTextAsync(file, "no line's end, and one word across every two reads", TestContext.Current.CancellationToken);

        AssertDone(await RunAsync("--pattern", "supervision", "--input", file));
        Directory.Delete(Path.GetDirectoryName(file)!, recursive: true);
    }

    [Fact(Timeout = 90_000)]
    public async Task Run_ThroughTheGateway_CountsAsTheFile()
    {
        var redis = await (await shared.OfAsync(RedisKind.Garnet)).ConnectAsync();
        await using var gateway = await GatewayHost.StartAsync(
            "gateway-here", services => services.AddSingleton<IConnectionMultiplexer>(_ => redis).AddRedisChildRunner(),
            ("Patterns:Supervision:Redis:KeyTag", SharedRedis.NewTag()), ("Patterns:Supervision:Redis:Lease", "00:00:30"), ("Patterns:Supervision:Tailing:GrowEvery", "00:00:00.020"));

        AssertDone(await RunAsync("--pattern", "supervision", "--variant", "distributed", "--gateway", gateway.Address.ToString()));
    }

    [Fact]
    public async Task Run_OfAnInputAcrossProcesses_IsBadUsage() =>
        Assert.Equal(2, (await RunAsync("--pattern", "supervision", "--variant", "distributed", "--input", "x")).Code);

    private static void AssertDone((int Code, string Output, string Error) run)
    {
        Assert.True(run.Code == 0, run.Output + run.Error);
        Assert.Contains("0 went back; 3 of 3 are those of the file", run.Output, StringComparison.Ordinal);
        Assert.All((string[])["crashed", "exited", "hung"], reason => Assert.Contains($": {reason}", run.Output, StringComparison.Ordinal));
    }

    private static async Task<(int Code, string Output, string Error)> RunAsync(params string[] args)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        return (await CommandLine.RunAsync(args, output, error), output.ToString(), error.ToString());
    }
}
