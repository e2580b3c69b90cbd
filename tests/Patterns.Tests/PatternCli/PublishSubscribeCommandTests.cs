using DistributedPatterns.PatternCli;
using DistributedPatterns.Tests.Gateway;
using DistributedPatterns.Tests.Support;
using Microsoft.Extensions.DependencyInjection;
using StackExchange.Redis;

namespace DistributedPatterns.Tests.PatternCli;

/// <summary>The scenario of publish-subscribe: subscribers of four kinds, each checked against the lines, in both variants.</summary>
public sealed class PublishSubscribeCommandTests(SharedRedis shared)
{
    [Fact(Timeout = 90_000)]
    public async Task Run_InThisProcess_EverySubscriberIsRight() => AssertDone(await RunAsync("--pattern", "publish-subscribe"));

    [Fact(Timeout = 90_000)]
    public async Task Run_ThroughTheGateway_EverySubscriberIsRight()
    {
        var redis = await (await shared.OfAsync(RedisKind.Garnet)).ConnectAsync();
        await using var gateway = await GatewayHost.StartAsync(
            "gateway-here", services => services.AddSingleton<IConnectionMultiplexer>(_ => redis), ("Patterns:PublishSubscribe:events:KeyTag", SharedRedis.NewTag()));

        AssertDone(await RunAsync("--pattern", "publish-subscribe", "--variant", "distributed", "--gateway", gateway.Address.ToString()));
    }

    [Fact]
    public async Task Run_OfAnInput_IsBadUsage() => Assert.Equal(2, (await RunAsync("--pattern", "publish-subscribe", "--input", "x")).Code);

    private static void AssertDone((int Code, string Output, string Error) run)
    {
        Assert.True(run.Code == 0, run.Output + run.Error);
        Assert.Equal(4, run.Output.Split("right  ").Length - 1);
        Assert.DoesNotContain("WRONG", run.Output, StringComparison.Ordinal);
    }

    private static async Task<(int Code, string Output, string Error)> RunAsync(params string[] args)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        return (await CommandLine.RunAsync(args, output, error), output.ToString(), error.ToString());
    }
}
