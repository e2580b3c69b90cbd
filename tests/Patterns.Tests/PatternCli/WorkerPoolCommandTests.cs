using DistributedPatterns.PatternCli;
using DistributedPatterns.Tests.Gateway;
using DistributedPatterns.Tests.Support;
using Microsoft.Extensions.DependencyInjection;
using StackExchange.Redis;

namespace DistributedPatterns.Tests.PatternCli;

/// <summary>The scenario of the worker pool: what it prints is checked against the file, in both variants.</summary>
public sealed class WorkerPoolCommandTests(SharedRedis shared)
{
    [Fact(Timeout = 60_000)]
    public async Task Run_InThisProcess_ChecksEveryHash() => AssertDone(await RunAsync("--pattern", "worker-pool"));

    [Fact(Timeout = 60_000)]
    public async Task Run_ThroughTheGateway_ChecksEveryHash()
    {
        var redis = await (await shared.OfAsync(RedisKind.Garnet)).ConnectAsync();
        await using var gateway = await GatewayHost.StartAsync(
            "gateway-here", services => services.AddSingleton<IConnectionMultiplexer>(_ => redis).AddRedisWorkers(),
            ("Patterns:WorkerPool:Redis:KeyTag", SharedRedis.NewTag()), ("Patterns:WorkerPool:Redis:Capacity", "16")); // less than the scenario submits

        AssertDone(await RunAsync("--pattern", "worker-pool", "--variant", "distributed", "--gateway", gateway.Address.ToString()));
    }

    private static void AssertDone((int Code, string Output, string Error) run)
    {
        Assert.True(run.Code == 0, run.Output + run.Error);
        Assert.Contains("hashes: 64 of 64 are those of the file", run.Output, StringComparison.Ordinal);
        Assert.Contains("lines 34,924, words 148,851", run.Output, StringComparison.Ordinal); // as wc counts them
        Assert.Contains("submitted 128 = done 128 + failed 0 + cancelled 0 + dead 0 + queued 0 + running 0", run.Output, StringComparison.Ordinal);
    }

    private static async Task<(int Code, string Output, string Error)> RunAsync(params string[] args)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        return (await CommandLine.RunAsync(args, output, error), output.ToString(), error.ToString());
    }
}
