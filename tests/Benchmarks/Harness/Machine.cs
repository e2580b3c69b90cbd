using System.Runtime;
using System.Runtime.InteropServices;

namespace DistributedPatterns.Benchmarks.Harness;

/// <summary>Where the figures come from. Absolute ones hold on this machine only.</summary>
internal static class Machine
{
    public static string Describe() =>
        $"{Environment.ProcessorCount} cores, {RuntimeInformation.OSDescription} {RuntimeInformation.ProcessArchitecture}, {RuntimeInformation.FrameworkDescription}, "
        + $"{(GCSettings.IsServerGC ? "server" : "workstation")} GC{(GCSettings.LatencyMode == GCLatencyMode.Interactive ? ", concurrent" : "")}"
        + Environment.NewLine;
}
