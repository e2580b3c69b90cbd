using DistributedPatterns.Diagnostics;

namespace DistributedPatterns.ResourcePooling;

/// <summary>The service keys of pools: there may be many of one type, so a key is a variant and a name.</summary>
public static class ResourcePoolKey
{
    /// <summary>The key of a pool inside this process.</summary>
    public static string Channel(string name) => Of(Variants.Channel, name);

    /// <summary>The key of a pool across processes.</summary>
    public static string Distributed(string name) => Of(Variants.Distributed, name);

    /// <summary>The key of a pool in a variant.</summary>
    public static string Of(string variant, string name) => $"{variant}:{name}";
}
