using DistributedPatterns.PatternCli;
using DistributedPatterns.Tests.Gateway;

namespace DistributedPatterns.Tests.PatternCli;

/// <summary>What the command line says to a person, and what it ends with.</summary>
public sealed class CommandLineTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("cli-tests-");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact(Timeout = 60_000)]
    public async Task Run_OfAFileThatTheGatewayRefusesByItsLength_SaysWhatTheGatewaySaid()
    {
        await using var gateway = await GatewayHost.StartAsync(("Gateway:MaxUploadBytes", "1048576"));
        var file = Path.Combine(_folder.FullName, "large.txt");
        await File.WriteAllBytesAsync(file, new byte[32 * 1024 * 1024], TestContext.Current.CancellationToken);

        var (code, _, error) = await RunAsync("--pattern", "pipeline", "--variant", "distributed", "--gateway", gateway.Address.ToString(), "--input", file);

        Assert.Equal(1, code);
        Assert.Contains("413", error, StringComparison.Ordinal);
        Assert.Contains("1,048,576 bytes", error, StringComparison.Ordinal);
    }

    [Fact(Timeout = 60_000)]
    public async Task Run_WithNoGatewayThere_NamesTheAddressAndWhatToDo()
    {
        var (code, _, error) = await RunAsync("--pattern", "pipeline", "--variant", "distributed", "--gateway", "http://127.0.0.1:1");

        Assert.Equal(1, code);
        Assert.Contains("http://127.0.0.1:1", error, StringComparison.Ordinal);
        Assert.Contains("--gateway", error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--pattern", "nothing")]
    [InlineData("--pattern", "pipeline", "--variant", "nothing")]
    [InlineData("--pattern", "pipeline", "--input", "/no/such/file")]
    [InlineData("--pattern", "pipeline", "--gateway", "nonsense")]
    [InlineData("--pattern", "worker-pool", "--input", "/no/such/file")]
    [InlineData("--nothing")]
    public async Task Run_OfWhatIsNotThere_IsBadUsageAndNamesIt(params string[] args)
    {
        var (code, output, error) = await RunAsync(args);

        Assert.Equal((2, ""), (code, output));
        Assert.Contains(args[^1], error, StringComparison.Ordinal);
    }

    private static async Task<(int Code, string Output, string Error)> RunAsync(params string[] args)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        return (await CommandLine.RunAsync(args, output, error), output.ToString(), error.ToString());
    }
}
