using System.Collections.Concurrent;
using System.Diagnostics;
using System.Runtime.InteropServices;

namespace DistributedPatterns.Tests;

/// <summary>The built AppHost in a process of its own, to be stopped and killed as a person's would be.</summary>
internal sealed class AppHostProcess : IAsyncDisposable
{
    private static readonly TimeSpan s_pollEvery = TimeSpan.FromMilliseconds(50);

    private readonly Process _process;
    private readonly ConcurrentQueue<string> _lines = new();
    private readonly Task _reading;

    public AppHostProcess(params string[] args)
        : this([], args)
    {
    }

    /// <param name="environment">Variables for the AppHost, which its services inherit.</param>
    public AppHostProcess(Dictionary<string, string> environment, params string[] args)
    {
        string[] command = [.. IsSigintIgnored() ? ["env", "--default-signal=INT"] : Array.Empty<string>(), "dotnet", typeof(Projects.AppHost).Assembly.Location, .. args];
        var start = new ProcessStartInfo(command[0], command[1..])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        // Whatever runs on this machine, the dashboard finds a port.
        start.Environment["ASPNETCORE_URLS"] = "http://localhost:0";
        foreach (var (name, value) in environment)
        {
            start.Environment[name] = value;
        }

        _process = Process.Start(start)!;
        _reading = Task.WhenAll(ReadAsync(_process.StandardOutput), ReadAsync(_process.StandardError));
    }

    public string Output => string.Join(Environment.NewLine, _lines);

    public bool HasExited => _process.HasExited;

    public bool IsHealthy => Output.Contains("Ctrl+C stops everything", StringComparison.Ordinal);

    /// <summary>Gets whether it has said that not all are healthy yet, although the usual time is over.</summary>
    public bool IsLate => Output.Contains("Not all healthy after", StringComparison.Ordinal);

    // Where the start takes long, there is another table before it.
    private IEnumerable<string[]> HealthyRows => _lines.SkipWhile(line => !line.StartsWith("All healthy after", StringComparison.Ordinal))
        .Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries)).Where(columns => columns is [_, "Running", _, _, ..]);

    /// <summary>Gets the processes in the table that is printed once all are healthy.</summary>
    public async Task<IReadOnlyList<int>> HealthyAsync(CancellationToken cancellationToken)
    {
        await UntilAsync(() => IsHealthy, cancellationToken);
        return [.. HealthyRows.Where(c => c[2] == "Healthy").Select(c => int.Parse(c[3], System.Globalization.CultureInfo.InvariantCulture))];
    }

    /// <summary>Gets the last URL of a resource in that table.</summary>
    public Uri Url(string resource) => new(HealthyRows.First(c => c[0].StartsWith($"{resource}-", StringComparison.Ordinal))[^1]);

    /// <summary>Stops it as Ctrl+C does, and waits until it has ended.</summary>
    public Task<int> StopAsync(CancellationToken cancellationToken)
    {
        if (!_process.HasExited) Signal(PosixSignal.SIGTERM, []);
        return ExitAsync(cancellationToken);
    }

    public void Signal(PosixSignal signal, IEnumerable<int> alsoTo)
    {
        // The AppHost last: it ends the others.
        foreach (var pid in alsoTo.Append(_process.Id))
        {
            Assert.Equal(0, Kill(pid, signal == PosixSignal.SIGINT ? 2 : 15));
        }
    }

    public void Kill() => _process.Kill();

    // A shell ignores SIGINT for what it runs in the background, everything below inherits that, and .NET heeds it. A terminal does not.
    private static bool IsSigintIgnored() =>
        OperatingSystem.IsLinux()
        && File.ReadLines("/proc/self/status").First(line => line.StartsWith("SigIgn:", StringComparison.Ordinal)) is var line
        && (Convert.ToUInt64(line["SigIgn:".Length..].Trim(), 16) & 0b10) != 0;

    public async Task<int> ExitAsync(CancellationToken cancellationToken)
    {
        await UntilAsync(() => HasExited, cancellationToken);
        await _reading.WaitAsync(cancellationToken);
        return _process.ExitCode;
    }

    public static bool Runs(int pid)
    {
        try
        {
            using var process = Process.GetProcessById(pid);
            return !process.HasExited;
        }
        catch (ArgumentException)
        {
            return false;
        }
    }

    /// <summary>Polls until something holds; the token is the limit.</summary>
    public async Task UntilAsync(Func<bool> holds, CancellationToken cancellationToken)
    {
        while (!holds())
        {
            Assert.False(cancellationToken.IsCancellationRequested, $"Not within the limit. The AppHost wrote:{Environment.NewLine}{Output}");
            await Task.Delay(s_pollEvery, TimeProvider.System, CancellationToken.None);
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            _process.Kill();
        }

        // Its children end when it does; the next test must not meet them.
        await _process.WaitForExitAsync(CancellationToken.None);
        _process.Dispose();
    }

    private async Task ReadAsync(StreamReader reader)
    {
        while (await reader.ReadLineAsync() is { } line)
        {
            _lines.Enqueue(line);
        }
    }

    [DllImport("libc", EntryPoint = "kill")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Kill(int pid, int signal);
}
