using DistributedPatterns.PatternCli;
using DistributedPatterns.Tests.Gateway;
using DistributedPatterns.Tests.Support;
using Microsoft.Extensions.DependencyInjection;
using StackExchange.Redis;

namespace DistributedPatterns.Tests.PatternCli;

/// <summary>The scenario of the event loop: lines are tallied by key and checked against a direct computation, in both variants.</summary>
public sealed class EventLoopCommandTests(SharedRedis shared)
{
    [Fact(Timeout = 90_000)]
    public async Task Run_InThisProcess_TalliesAsADirectComputation() => AssertDone(await RunAsync("--pattern", "event-loop"));

    [Fact(Timeout = 90_000)]
    public async Task Run_OfAFile_TalliesThat()
    {
        var folder = Directory.CreateTempSubdirectory("cli-tests-");
        var file = Path.Combine(folder.FullName, "small.txt");
        await File.WriteAllTextAsync(file, "alpha\nbeta\nanother\n\n?\nlast", TestContext.Current.CancellationToken);

        var run = await RunAsync("--pattern", "event-loop", "--input", file);

        AssertDone(run);
        Assert.Contains("6 lines of 'small.txt' for 4 keys", run.Output, StringComparison.Ordinal);
        folder.Delete(recursive: true);
    }

    [Fact(Timeout = 120_000)]
    public async Task Run_ThroughTheGateway_TalliesAsADirectComputation()
    {
        var redis = await (await shared.OfAsync(RedisKind.Garnet)).ConnectAsync();
        await using var gateway = await GatewayHost.StartAsync(
            "gateway-here", services => services.AddSingleton<IConnectionMultiplexer>(_ => redis).AddRedisLoopRunner(), ("Patterns:EventLoop:Redis:KeyTag", SharedRedis.NewTag()));

        AssertDone(await RunAsync("--pattern", "event-loop", "--variant", "distributed", "--gateway", gateway.Address.ToString()));
    }

    [Fact]
    public async Task Run_OfWhatIsNotThere_IsBadUsage() => Assert.Equal(2, (await RunAsync("--pattern", "event-loop", "--input", "/nowhere/at/all.txt")).Code);

    private static void AssertDone((int Code, string Output, string Error) run)
    {
        Assert.True(run.Code == 0, run.Output + run.Error);
        Assert.Matches(@"keys: (\d+) of \1 are as a direct computation has them", run.Output);
        Assert.Contains("+ dead 0 + waiting 0", run.Output, StringComparison.Ordinal);
        Assert.Contains("ended it after", run.Output, StringComparison.Ordinal);
    }

    private static async Task<(int Code, string Output, string Error)> RunAsync(params string[] args)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        return (await CommandLine.RunAsync(args, output, error), output.ToString(), error.ToString());
    }
}
