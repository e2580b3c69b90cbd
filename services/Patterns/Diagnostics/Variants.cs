namespace DistributedPatterns.Diagnostics;

/// <summary>The two variants of each pattern: the keys of their services, the segment in their routes, the value in their telemetry.</summary>
public static class Variants
{
    /// <summary>Inside one process, on channels and tasks.</summary>
    public const string Channel = "channel";

    /// <summary>Across processes, on gRPC and Redis.</summary>
    public const string Distributed = "distributed";
}
