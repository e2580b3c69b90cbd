using System.Runtime.InteropServices;

namespace Aspire.Hosting.Processes;

internal static class Executables
{
    /// <summary>Gets the <c>dotnet</c> that runs this process, for its children.</summary>
    public static string DotNet { get; } = FindDotNet();

    public static string? Find(string command)
    {
        var fileName = OperatingSystem.IsWindows() ? command + ".exe" : command;
        return (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries)
            .Select(folder => Path.Combine(folder, fileName))
            .FirstOrDefault(File.Exists);
    }

    private static string FindDotNet()
    {
        var fileName = OperatingSystem.IsWindows() ? "dotnet.exe" : "dotnet";

        // {root}/shared/Microsoft.NETCore.App/{version}: the root that serves this process serves its children, whatever the PATH says.
        var root = Path.GetFullPath(Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", ".."));
        var own = Path.Combine(root, fileName);
        return File.Exists(own) ? own : Find("dotnet") ?? fileName;
    }
}
