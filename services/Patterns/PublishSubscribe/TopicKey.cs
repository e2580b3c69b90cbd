using DistributedPatterns.Diagnostics;

namespace DistributedPatterns.PublishSubscribe;

/// <summary>The service keys of topics: there may be many, and two kinds across processes.</summary>
public static class TopicKey
{
    /// <summary>The key of a topic inside this process.</summary>
    public static string Channel(string name) => $"{Variants.Channel}:{name}";

    /// <summary>The key of a retained topic across processes.</summary>
    public static string Retained(string name) => $"{Variants.Distributed}:{name}";

    /// <summary>The key of an ephemeral topic across processes.</summary>
    public static string Ephemeral(string name) => $"{Variants.Distributed}-ephemeral:{name}";
}
