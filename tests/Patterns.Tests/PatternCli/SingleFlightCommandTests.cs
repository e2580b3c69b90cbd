using DistributedPatterns.PatternCli;
using DistributedPatterns.Tests.Gateway;
using DistributedPatterns.Tests.Support;
using Microsoft.Extensions.DependencyInjection;
using StackExchange.Redis;

namespace DistributedPatterns.Tests.PatternCli;

/// <summary>The command line over singleflight.</summary>
public sealed class SingleFlightCommandTests(SharedRedis shared)
{
    [Fact(Timeout = 90_000)]
    public async Task Run_InProcess_ShowsOneRunForAll()
    {
        var (code, output, error) = await RunAsync("--pattern", "single-flight");

        Assert.True(code == CommandLine.Done, $"{output}\n{error}");
        Assert.Contains("99 joined, 1 led", output, StringComparison.Ordinal);
        Assert.Contains("sha256 of us-constitution.txt", output, StringComparison.Ordinal);
    }

    [Fact(Timeout = 90_000)]
    public async Task Run_ThroughAGateway_ShowsOneRunForAll()
    {
        await using var redis = await (await shared.OfAsync(RedisKind.Garnet)).ConnectAsync();
        await using var gateway = await GatewayHost.StartAsync(
            "gateway-here", services => services.AddSingleton<IConnectionMultiplexer>(redis), ("Patterns:SingleFlight:Redis:KeyTag", SharedRedis.NewTag()),
            ("Patterns:SingleFlight:Redis:Lease", "00:00:30"));

        var (code, output, error) = await RunAsync("--pattern", "single-flight", "--variant", "distributed", "--gateway", gateway.Address.ToString());

        Assert.True(code == CommandLine.Done, $"{output}\n{error}");
        Assert.Contains("100 cached", output, StringComparison.Ordinal);
    }

    [Fact(Timeout = 90_000)]
    public async Task Run_OfAnInputThatIsNotThere_NamesThoseThatAre()
    {
        var (code, _, error) = await RunAsync("--pattern", "single-flight", "--input", "nothing.txt");

        Assert.Equal(CommandLine.BadUsage, code);
        Assert.Contains("us-constitution.txt", error, StringComparison.Ordinal);
    }

    private static async Task<(int Code, string Output, string Error)> RunAsync(params string[] args)
    {
        var (output, error) = (new StringWriter(), new StringWriter());
        return (await CommandLine.RunAsync(args, output, error), output.ToString(), error.ToString());
    }
}
