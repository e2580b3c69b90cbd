using System.Text.Json.Serialization;

namespace DistributedPatterns.Deadlines;

/// <summary>Who ended work before it was done. A token alone does not say.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<CancellationReason>))]
public enum CancellationReason
{
    /// <summary>Nobody has.</summary>
    None,

    /// <summary>Who asked for it no longer wants it: the client left.</summary>
    Caller,

    /// <summary>The budget is spent.</summary>
    Deadline,

    /// <summary>The process that does it is stopping.</summary>
    Shutdown,

    /// <summary>Another part of the same whole has failed, so this one is of no use.</summary>
    Sibling,
}
