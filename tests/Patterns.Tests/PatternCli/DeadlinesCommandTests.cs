using DistributedPatterns.Deadlines;
using DistributedPatterns.PatternCli;
using DistributedPatterns.Tests.Deadlines;
using DistributedPatterns.Tests.Gateway;
using Microsoft.Extensions.DependencyInjection;

namespace DistributedPatterns.Tests.PatternCli;

/// <summary>The command line over deadlines.</summary>
public sealed class DeadlinesCommandTests
{
    [Fact(Timeout = 60_000)]
    public async Task Run_InProcess_ShowsThreeBudgets()
    {
        var (code, output, error) = await RunAsync("--pattern", "deadlines");

        Assert.True(code == CommandLine.Done, error);
        Assert.Contains("deadline exceeded", output, StringComparison.Ordinal);
        Assert.Contains("attempt 2", output, StringComparison.Ordinal);
    }

    [Fact(Timeout = 60_000)]
    public async Task Run_ThroughAGateway_ShowsTheHopsOfEachService()
    {
        await using var cluster = await OperationsCluster.StartAsync([.. HopOperations.Create(TimeProvider.System)], "producer", "worker", "reducer");
        await using var gateway = await GatewayHost.StartAsync("gateway-here", services => services.AddSingleton(cluster.Members).AddSingleton(cluster.Channels));

        var (code, output, error) = await RunAsync("--pattern", "deadlines", "--variant", "distributed", "--gateway", gateway.Address.ToString());

        Assert.True(code == CommandLine.Done, error);
        Assert.All(["producer-0", "worker-1", "reducer-2"], process => Assert.Contains(process, output, StringComparison.Ordinal));
    }

    private static async Task<(int Code, string Output, string Error)> RunAsync(params string[] args)
    {
        var (output, error) = (new StringWriter(), new StringWriter());
        return (await CommandLine.RunAsync(args, output, error), output.ToString(), error.ToString());
    }
}
