using DistributedPatterns.PatternCli;
using DistributedPatterns.Tests.Gateway;
using DistributedPatterns.Tests.ResourcePooling;
using DistributedPatterns.Tests.Support;
using Microsoft.Extensions.DependencyInjection;

namespace DistributedPatterns.Tests.PatternCli;

/// <summary>The command line over pooled connections.</summary>
public sealed class ResourcePoolingCommandTests(SharedRedis shared)
{
    [Fact(Timeout = 90_000)]
    public async Task Run_InProcess_CountsEveryUse()
    {
        var (code, output, error) = await RunAsync("--pattern", "resource-pooling");

        Assert.True(code == CommandLine.Done, output + error);
        Assert.Contains("the database counted 2,000", output, StringComparison.Ordinal);
    }

    [Fact(Timeout = 90_000)]
    public async Task Run_ThroughAGateway_CountsEveryUseOfAllWorkers()
    {
        await using var workers = await PooledWorkers.StartAsync(await shared.OfAsync(RedisKind.Garnet), 8);
        await using var gateway = await GatewayHost.StartAsync("gateway-here", services => services.AddSingleton(workers.Members).AddSingleton(workers.Channels));

        var (code, output, error) = await RunAsync("--pattern", "resource-pooling", "--variant", "distributed", "--gateway", gateway.Address.ToString());

        Assert.True(code == CommandLine.Done, output + error);
        Assert.All(["worker-0", "worker-1", "the database counted 600"], part => Assert.Contains(part, output, StringComparison.Ordinal));
    }

    private static async Task<(int Code, string Output, string Error)> RunAsync(params string[] args)
    {
        var (output, error) = (new StringWriter(), new StringWriter());
        return (await CommandLine.RunAsync(args, output, error), output.ToString(), error.ToString());
    }
}
