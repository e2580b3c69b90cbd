using DistributedPatterns.PatternCli;
using DistributedPatterns.Tests.Gateway;
using DistributedPatterns.Tests.Support;
using Microsoft.Extensions.DependencyInjection;
using StackExchange.Redis;

namespace DistributedPatterns.Tests.PatternCli;

/// <summary>The scenario of producer-consumer: what was consumed is checked against the file, in both variants.</summary>
public sealed class ProducerConsumerCommandTests(SharedRedis shared)
{
    [Fact(Timeout = 60_000)]
    public async Task Run_InThisProcess_ChecksTheSums() => AssertDone(await RunAsync("--pattern", "producer-consumer", "--input", "700"));

    [Fact(Timeout = 60_000)]
    public async Task Run_ThroughTheGateway_ChecksTheSums()
    {
        var redis = await (await shared.OfAsync(RedisKind.Garnet)).ConnectAsync();
        await using var gateway = await GatewayHost.StartAsync(
            "gateway-here", services => services.AddSingleton<IConnectionMultiplexer>(_ => redis).AddRedisFeedProducer().AddRedisFeedConsumer(),
            ("Patterns:ProducerConsumer:feeds:KeyTag", SharedRedis.NewTag()), ("Patterns:ProducerConsumer:feed-records:KeyTag", SharedRedis.NewTag()));

        AssertDone(await RunAsync("--pattern", "producer-consumer", "--variant", "distributed", "--input", "700", "--gateway", gateway.Address.ToString()));
    }

    [Fact(Timeout = 60_000)]
    public async Task Run_OfNoCount_IsBadUsage()
    {
        var (code, _, error) = await RunAsync("--pattern", "producer-consumer", "--input", "10001");

        Assert.Equal(2, code);
        Assert.Contains("1 to 10000", error, StringComparison.Ordinal);
    }

    private static void AssertDone((int Code, string Output, string Error) run)
    {
        Assert.True(run.Code == 0, run.Output + run.Error);
        Assert.Contains("Done: produced 700, consumed 700", run.Output, StringComparison.Ordinal);
    }

    private static async Task<(int Code, string Output, string Error)> RunAsync(params string[] args)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        return (await CommandLine.RunAsync(args, output, error), output.ToString(), error.ToString());
    }
}
