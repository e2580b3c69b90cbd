using DistributedPatterns.Diagnostics;

namespace DistributedPatterns.ProducerConsumer;

/// <summary>The service keys of queues: there may be many of one payload type, so a key is a variant and a name.</summary>
public static class WorkQueueKey
{
    /// <summary>The key of a queue inside this process.</summary>
    public static string Channel(string name) => Of(Variants.Channel, name);

    /// <summary>The key of a queue across processes.</summary>
    public static string Distributed(string name) => Of(Variants.Distributed, name);

    /// <summary>The key of a queue in a variant.</summary>
    public static string Of(string variant, string name) => $"{variant}:{name}";
}
