using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Reflection;

namespace DistributedPatterns.Tests.Support;

/// <summary>A child process that can be frozen and killed, and that never outlives the tests.</summary>
/// <remarks>
/// A shell stands between: it kills the child, frozen or not, when its own standard input ends, which happens however the
/// test run ends.
/// </remarks>
public sealed class WatchedProcess : IAsyncDisposable
{
    private const string Script = """
        exec 3<&0
        "$@" 2>&1 </dev/null & pid=$!
        echo "@pid $pid"
        { while read -r _ <&3; do :; done; kill -9 $pid; } >/dev/null 2>&1 & watch=$!
        wait $pid; code=$?
        kill $watch 2>/dev/null
        exit $code
        """;

    private readonly Process _shell;
    private readonly ConcurrentQueue<string> _output = new();
    private readonly TaskCompletionSource<int> _pid = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private WatchedProcess(Process shell) => _shell = shell;

    /// <summary>Gets what the process wrote so far.</summary>
    public string Output => string.Join('\n', _output);

    public bool HasExited => _shell.HasExited;

    /// <summary>Gets the exit code; 137 after a kill.</summary>
    public int ExitCode => _shell.ExitCode;

    public int Pid => _pid.Task.Result;

    public static async Task<WatchedProcess> StartAsync(IEnumerable<string> command, IReadOnlyDictionary<string, string>? environment = null)
    {
        var start = new ProcessStartInfo("/bin/sh") { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var argument in (IEnumerable<string>)["-c", Script, "sh", .. command])
            start.ArgumentList.Add(argument);
        foreach (var (name, value) in environment ?? new Dictionary<string, string>())
            start.Environment[name] = value;
        var process = new WatchedProcess(Process.Start(start)!);
        process._shell.OutputDataReceived += (_, line) => process.Take(line.Data);
        process._shell.ErrorDataReceived += (_, line) => process.Take(line.Data);
        process._shell.BeginOutputReadLine();
        process._shell.BeginErrorReadLine();
        await process._pid.Task.WaitAsync(TimeSpan.FromSeconds(10), TimeProvider.System);
        return process;
    }

    /// <summary>Starts a program that is built with the tests, by the name of its assembly.</summary>
    public static Task<WatchedProcess> StartBuiltAsync(string assembly, IReadOnlyDictionary<string, string> environment) => StartAsync(
        [
            Environment.ProcessPath is { } path && Path.GetFileNameWithoutExtension(path) == "dotnet" ? path : "dotnet",
            typeof(WatchedProcess).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>().Single(attribute => attribute.Key == assembly).Value!,
        ], environment);

    /// <summary>Stops it in its tracks (SIGSTOP): its sockets stay open and nothing answers.</summary>
    /// <remarks>One thread of it takes the signal and stops the others, so on a busy machine they may go on for a while: this waits for them.</remarks>
    public async Task PauseAsync()
    {
        await SignalAsync("STOP");
        while (OperatingSystem.IsLinux() && !_shell.HasExited && Directory.EnumerateDirectories($"/proc/{Pid}/task").Any(static thread => !IsStopped(thread)))
            await Task.Delay(TimeSpan.FromMilliseconds(1), TimeProvider.System);
    }

    public Task ResumeAsync() => SignalAsync("CONT");

    /// <summary>Asks it to stop (SIGTERM) and waits.</summary>
    public async Task<int> StopAsync()
    {
        await SignalAsync("TERM");
        return await ExitAsync();
    }

    /// <summary>Kills it (SIGKILL) and waits.</summary>
    public async Task KillAsync()
    {
        if (!_shell.HasExited)
            await SignalAsync("KILL");
        await ExitAsync();
    }

    public async Task<int> ExitAsync()
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(30), TimeProvider.System);
        await _shell.WaitForExitAsync(limit.Token);
        return _shell.ExitCode;
    }

    public async ValueTask DisposeAsync()
    {
        await KillAsync();
        _shell.Dispose();
    }

    private static bool IsStopped(string thread)
    {
        try
        {
            var state = File.ReadAllText(Path.Combine(thread, "stat"));
            return state[state.LastIndexOf(')') + 2] is 'T' or 'Z' or 'X'; // stopped, or ended
        }
        catch (IOException)
        {
            return true; // it has ended
        }
    }

    private async Task SignalAsync(string signal)
    {
        using var kill = Process.Start("/bin/kill", [$"-{signal}", Pid.ToString(CultureInfo.InvariantCulture)]);
        await kill.WaitForExitAsync();
    }

    private void Take(string? line)
    {
        if (line is null)
            return;
        if (line.StartsWith("@pid ", StringComparison.Ordinal))
            _pid.TrySetResult(int.Parse(line.AsSpan(5), CultureInfo.InvariantCulture));
        else
            _output.Enqueue(line);
    }
}
