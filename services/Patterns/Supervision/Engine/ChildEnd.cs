namespace DistributedPatterns.Supervision.Engine;

/// <summary>How a start of a child ended.</summary>
internal sealed record ChildEnd(ChildEndKind Kind, string Reason);

internal enum ChildEndKind
{
    /// <summary>Returned.</summary>
    Exited,

    /// <summary>Asked not to be started again.</summary>
    Done,

    /// <summary>Threw.</summary>
    Crashed,

    /// <summary>Gave no sign for too long.</summary>
    Hung,

    /// <summary>Did as it was told.</summary>
    Stopped,

    /// <summary>Threw, and asked for the end of all.</summary>
    EndTree,
}
