using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace DistributedPatterns.Tests;

/// <summary>What a person sees who starts, stops and kills the AppHost.</summary>
public sealed class AppHostProcessTests : IAsyncLifetime
{
    private CancellationTokenSource _limit = null!;
    private HashSet<string> _runsBefore = null!;
    private MachineLock? _lock;

    public async ValueTask InitializeAsync()
    {
        _lock = await MachineLock.TakeAsync(TestContext.Current.CancellationToken);
        // Only now: another suite may have had the lock for longer than a test may take.
        (_limit, _runsBefore) = (RunningSystem.Limit(TimeSpan.FromMinutes(3)), Runs());
    }

    public async ValueTask DisposeAsync()
    {
        _limit.Dispose();
        await _lock!.DisposeAsync();
    }

    [Fact]
    public async Task CtrlC_OnTheWholeGroup_ExitsWithZeroAndLeavesNothing()
    {
        SkipOnWindows();
        await using var host = new AppHostProcess("--Gateway:Port=0");
        var children = await host.HealthyAsync(_limit.Token);
        Assert.Equal(8, children.Count);
        Assert.StartsWith("AppHost on the embedded host: ", host.Output, StringComparison.Ordinal);
        Assert.NotEmpty(Runs().Except(_runsBefore));

        // A terminal sends it to every process of the foreground group.
        host.Signal(PosixSignal.SIGINT, children);

        Assert.Equal(0, await host.ExitAsync(_limit.Token));
        Assert.DoesNotContain(children, AppHostProcess.Runs);
        Assert.Empty(Runs().Except(_runsBefore));
    }

    [Fact]
    public async Task Terminate_ExitsWithZeroAndLeavesNothing()
    {
        SkipOnWindows();
        var home = Directory.CreateTempSubdirectory();
        await using var host = new AppHostProcess(new Dictionary<string, string> { ["HOME"] = home.FullName }, "--Gateway:Port=0");
        var children = await host.HealthyAsync(_limit.Token);

        host.Signal(PosixSignal.SIGTERM, []);

        Assert.Equal(0, await host.ExitAsync(_limit.Token));
        Assert.DoesNotContain(children, AppHostProcess.Runs);
        Assert.Empty(Runs().Except(_runsBefore));
        Assert.Empty(home.EnumerateFileSystemInfos());
        home.Delete();
    }

    [Theory]
    [InlineData("--Gateway:Port=0")]
    [InlineData("--Redis=container")]
    public async Task Killed_ChildrenEndByThemselves(string arg)
    {
        Assert.SkipWhen(arg == "--Redis=container" && Aspire.Hosting.Processes.Executables.Find("redis-server") is null, "There is no redis-server on the PATH.");
        await using var host = new AppHostProcess("--Gateway:Port=0", arg);
        var children = await host.HealthyAsync(_limit.Token);

        host.Kill();

        await host.UntilAsync(() => !children.Any(AppHostProcess.Runs), _limit.Token);
    }

    [Fact]
    public async Task Start_PortTaken_SaysWhichAndHowToChangeIt()
    {
        using var taken = new TcpListener(IPAddress.Loopback, 0);
        taken.Start();
        var port = ((IPEndPoint)taken.LocalEndpoint).Port.ToString(CultureInfo.InvariantCulture);
        await using var host = new AppHostProcess($"--Gateway:Port={port}");

        Assert.Equal(1, await host.ExitAsync(_limit.Token));
        Assert.Contains($"port {port}", host.Output, StringComparison.Ordinal);
        Assert.Contains("--Gateway:Port=", host.Output, StringComparison.Ordinal);
        AssertNoStack(host.Output);
    }

    [Theory]
    [InlineData("--Worker:Replicas=-1", "Worker:Replicas is '-1'")]
    [InlineData("--Worker:Replicas=abc", "Worker:Replicas is 'abc'")]
    [InlineData("--Console:Logs=loud", "Console:Logs is 'loud'")]
    public async Task Start_WrongSetting_IsNamed(string arg, string message)
    {
        await using var host = new AppHostProcess("--Gateway:Port=0", arg);

        Assert.Equal(1, await host.ExitAsync(_limit.Token));
        Assert.Contains(message, host.Output, StringComparison.Ordinal);
        AssertNoStack(host.Output);
        Assert.Empty(Runs().Except(_runsBefore));
    }

    [Fact]
    public async Task Start_ServiceRefusesItsSettings_EndsWithWhatItSaid()
    {
        await using var host = new AppHostProcess(new Dictionary<string, string> { ["Gateway__MaxUploadBytes"] = "-5" }, "--Gateway:Port=0");

        Assert.Equal(1, await host.ExitAsync(_limit.Token));
        Assert.Matches("(?s)Resource 'gateway' failed to start: .*MaxUploadBytes", host.Output);
        Assert.DoesNotContain("Restart 1 of", host.Output, StringComparison.Ordinal);
        AssertNoStack(host.Output);
        Assert.Empty(Runs().Except(_runsBefore));
    }

    [Fact]
    public async Task Start_RedisRunsScriptsInterleaved_EndsAndNamesTheFlag()
    {
        for (var attempt = 1; ; attempt++)
        {
            await using var host = new AppHostProcess(new Dictionary<string, string> { ["Redis__LuaTransactionMode"] = "false" }, "--Gateway:Port=0");
            // By chance no two scripts overlap while a service probes: then it starts, and so does a resource one of whose replicas had that luck.
            await host.UntilAsync(() => host.HasExited || (attempt < 5 && (host.IsHealthy || host.IsLate)), _limit.Token);
            if (!host.HasExited) continue;

            Assert.Equal(1, await host.ExitAsync(_limit.Token));
            Assert.Matches("(?s)Resource '(producer|gateway|worker|reducer)' failed to start: .*--lua-transaction-mode", host.Output);
            AssertNoStack(host.Output);
            Assert.Empty(Runs().Except(_runsBefore));
            return;
        }
    }

    private static void SkipOnWindows() => Assert.SkipWhen(OperatingSystem.IsWindows(), "Windows has no signals.");

    private static void AssertNoStack(string output) => Assert.DoesNotContain("   at ", output, StringComparison.Ordinal);

    private static HashSet<string> Runs()
    {
        var data = Path.Combine(Projects.AppHost.ProjectPath, ".data");
        return Directory.Exists(data) ? [.. Directory.EnumerateDirectories(data, "run-*")] : [];
    }
}
