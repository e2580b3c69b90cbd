using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;

namespace DistributedPatterns.Benchmarks.Harness;

/// <summary>The same in Go, in a process of its own, which takes the number of operations and prints a sum and the microseconds it took.</summary>
/// <param name="source">The program's file, below the benchmarks' folder.</param>
/// <param name="check">Throws if the sum is not that of so many operations.</param>
internal sealed class GoProgram(string name, int operations, string source, Action<long, int> check) : ThroughputContender(name, operations)
{
    private string? _program;

    public override async Task<string?> SetUpAsync()
    {
        _program = Path.Combine(Path.GetTempPath(), $"{Path.GetFileNameWithoutExtension(source)}-{Guid.NewGuid():N}");
        try
        {
            await RunAsync("go", "build", "-o", _program, Path.Combine(AppContext.BaseDirectory, source));
            return null;
        }
        catch (Win32Exception)
        {
            return "for there is no 'go' on the PATH";
        }
    }

    public override async Task<TimeSpan?> RunAsync(int operations)
    {
        var output = (await RunAsync(_program!, operations.ToString(CultureInfo.InvariantCulture))).Split(' ');
        check(long.Parse(output[0], CultureInfo.InvariantCulture), operations);
        return TimeSpan.FromMicroseconds(long.Parse(output[1], CultureInfo.InvariantCulture));
    }

    public override ValueTask TearDownAsync()
    {
        if (_program is not null) File.Delete(_program);
        return default;
    }

    private static async Task<string> RunAsync(string file, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(file, arguments) { RedirectStandardOutput = true })!;
        var output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        return process.ExitCode == 0 ? output : throw new InvalidOperationException($"{file} ended with code {process.ExitCode}.");
    }
}
