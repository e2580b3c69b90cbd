using System.ComponentModel;
using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Aspire.Hosting.Processes;

/// <summary>A process that is read line by line, stopped in peace when it allows, and never left behind.</summary>
/// <remarks>
/// Its standard input stays open as long as this process lives and is never written to. The kernel closes it when this
/// process dies, however it dies, and children take that as the word to stop.
/// </remarks>
internal sealed class ChildProcess : IDisposable
{
    private static readonly TimeSpan s_outputLimit = TimeSpan.FromSeconds(10);

    private readonly Process _process;
    private readonly TimeProvider _time;

    /// <exception cref="Win32Exception">The file cannot be run.</exception>
    public ChildProcess(ProcessStartInfo start, Action<string, bool> onLine, TimeProvider time)
    {
        start.RedirectStandardInput = start.RedirectStandardOutput = start.RedirectStandardError = true;
        start.UseShellExecute = false;
        _time = time;
        _process = Process.Start(start)!;
        Id = _process.Id;
        Exited = WaitAsync(ReadAsync(_process.StandardOutput, false, onLine), ReadAsync(_process.StandardError, true, onLine));
    }

    public int Id { get; }

    /// <summary>Gets the exit code, once the process has ended and its last lines are read.</summary>
    public Task<int> Exited { get; }

    /// <summary>Asks the process to stop, and kills it with all it started if it has not within the limit.</summary>
    public async Task<StopOutcome> StopAsync(TimeSpan limit)
    {
        if (OperatingSystem.IsWindows())
        {
            _process.StandardInput.Close();
        }
        else if (!_process.HasExited)
        {
            _ = Kill(Id, SigTerm);
        }

        try
        {
            await Exited.WaitAsync(limit, _time);
            return StopOutcome.Stopped;
        }
        catch (TimeoutException)
        {
            _process.Kill(entireProcessTree: true);
            await Exited;
            return StopOutcome.Killed;
        }
    }

    public void Dispose() => _process.Dispose();

    private static async Task ReadAsync(StreamReader reader, bool isError, Action<string, bool> onLine)
    {
        try
        {
            while (await reader.ReadLineAsync() is { } line)
            {
                onLine(line, isError);
            }
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or OperationCanceledException)
        {
            // The pipe broke with its process.
        }
    }

    private async Task<int> WaitAsync(Task output, Task error)
    {
        // Not WaitForExitAsync, which also waits for the end of the output, however long a grandchild keeps that open.
        var ended = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _process.Exited += (_, _) => ended.TrySetResult();
        _process.EnableRaisingEvents = true;
        await ended.Task;
        try
        {
            await Task.WhenAll(output, error).WaitAsync(s_outputLimit, _time);
        }
        catch (TimeoutException)
        {
            // A process that it started still holds the pipes; its lines are not ours.
        }

        return _process.ExitCode;
    }

    private const int SigTerm = 15;

    [DllImport("libc", EntryPoint = "kill")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Kill(int pid, int signal);
}

internal enum StopOutcome
{
    Stopped,
    Killed,
}
