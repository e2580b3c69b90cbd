using System.Diagnostics;
using System.Diagnostics.Metrics;

namespace DistributedPatterns.Diagnostics;

/// <summary>Where the patterns' own spans and metrics come from. What OpenTelemetry names already (HTTP, RPC) is not repeated here.</summary>
public static class PatternsTelemetry
{
    /// <summary>The name of the activity source and of the meter.</summary>
    public const string Name = "DistributedPatterns";

    /// <summary>Tag: the pattern, for example <c>pipeline</c>.</summary>
    public const string PatternTag = "patterns.name";

    /// <summary>Tag: <c>channel</c> or <c>distributed</c>.</summary>
    public const string VariantTag = "patterns.variant";

    internal static ActivitySource Source { get; } = new(Name);

    internal static Meter Meter { get; } = new(Name);
}
