namespace DistributedPatterns.Gateway.Patterns;

/// <summary>What a path below <c>/api</c> says: which pattern, which variant.</summary>
internal static class PatternRoute
{
    public static IReadOnlyList<string> Patterns { get; } = [.. GatewayPatterns.All.Select(pattern => pattern.Name)];

    public static IReadOnlyList<string> Variants { get; } = [Diagnostics.Variants.Channel, Diagnostics.Variants.Distributed];

    /// <summary>Returns the pattern and the variant in a path, each <see langword="null"/> if it is none.</summary>
    public static (string? Pattern, string? Variant) Of(PathString path) =>
        path.Value?.Split('/', 5) is ["", "api", var pattern, .. var rest] && Patterns.Contains(pattern)
            ? (pattern, rest is [var variant, ..] && Variants.Contains(variant) ? variant : null)
            : (null, null);
}
