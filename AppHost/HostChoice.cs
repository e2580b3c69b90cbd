using System.Reflection;

namespace DistributedPatterns;

/// <summary>Tells which host this AppHost was built for.</summary>
internal static class HostChoice
{
    /// <summary>Prints the run's first line: the host, the reason, and how to get the other one.</summary>
    public static void Announce()
    {
        var reason = Metadata("UseAspireReason");
        var version = Metadata("AspireVersion");
#if ASPIRE
        Console.WriteLine($"AppHost on Aspire {version}: {reason}. For the embedded host: dotnet run --project AppHost -p:UseAspire=false");

        // Aspire starts services with `dotnet run --no-build`, which evaluates their projects again and must find the same mode.
        Environment.SetEnvironmentVariable("UseAspire", "true");
        Environment.SetEnvironmentVariable("AspireVersion", version);
#else
        Console.WriteLine($"AppHost on the embedded host: {reason}. For Aspire {version}: dotnet run --project AppHost -p:UseAspire=true");
#endif
    }

    private static string? Metadata(string key) =>
        typeof(HostChoice).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>().FirstOrDefault(a => a.Key == key)?.Value;
}
