using System.Diagnostics.CodeAnalysis;

namespace DistributedPatterns.RateLimiting;

/// <summary>The algorithms' names in routes, settings and telemetry.</summary>
public static class RateLimitAlgorithms
{
    private static readonly Dictionary<string, RateLimitAlgorithm> s_byName = new(StringComparer.OrdinalIgnoreCase)
    {
        ["gcra"] = RateLimitAlgorithm.Gcra,
        ["token-bucket"] = RateLimitAlgorithm.TokenBucket,
        ["window-counter"] = RateLimitAlgorithm.WindowCounter,
        ["window-log"] = RateLimitAlgorithm.WindowLog,
        ["concurrency"] = RateLimitAlgorithm.Concurrency,
        ["pacer"] = RateLimitAlgorithm.Pacer,
    };

    private static readonly Dictionary<RateLimitAlgorithm, string> s_names = s_byName.ToDictionary(pair => pair.Value, pair => pair.Key);

    /// <summary>Gets the name in kebab case.</summary>
    public static string ToName(this RateLimitAlgorithm algorithm) => s_names[algorithm];

    /// <summary>Finds an algorithm by its name.</summary>
    public static bool TryParse([NotNullWhen(true)] string? name, out RateLimitAlgorithm algorithm)
    {
        algorithm = default;
        return name is not null && s_byName.TryGetValue(name, out algorithm);
    }
}
