namespace DistributedPatterns.EventLoop;

/// <summary>The base of what event loops throw for reasons of their own.</summary>
public abstract class EventLoopException(string message, Exception? inner = null) : Exception(message, inner);

/// <summary>No handler of that name is registered.</summary>
public sealed class UnknownLoopHandlerException(string handler, IEnumerable<string> known)
    : EventLoopException($"There is no handler '{(handler.Length <= 80 ? handler : handler[..80] + "…")}'. There are: {string.Join(", ", known.Order(StringComparer.Ordinal))}.");

/// <summary>An event is not what its handler takes, or a request not what a post can be.</summary>
public sealed class LoopEventException(string message, Exception? inner = null) : EventLoopException(message, inner);

/// <summary>The key's partition has no room.</summary>
/// <param name="what">What there is too much of.</param>
public sealed class EventLoopFullException(int partition, string what, long count, long limit, TimeSpan waited, string remedy)
    : EventLoopException($"Partition {partition} is full: {count:N0} of {limit:N0} {what} after waiting {waited:c}. {remedy}")
{
    public int Partition { get; } = partition;

    public long Limit { get; } = limit;
}

/// <summary>The partition is under another epoch than the post wants.</summary>
public sealed class PartitionFencedException(int partition, long wanted, long current)
    : EventLoopException($"Partition {partition} is under epoch {current} by now, not under {wanted}. Nothing was taken on.")
{
    public int Partition { get; } = partition;

    public long Epoch { get; } = current;
}

/// <summary>The loop takes nothing on any more.</summary>
public sealed class EventLoopStoppedException() : EventLoopException("The event loop has stopped and takes nothing on any more.");

/// <summary>An event was not handled in time. It still will be.</summary>
public sealed class AskTimedOutException(string key, TimeSpan within, PostReceipt? receipt)
    : EventLoopException($"Key '{key}' did not answer within {within:c}{(receipt is null ? "" : ". Its events are taken on, and will have their turn")}.")
{
    public TimeSpan Within { get; } = within;

    /// <summary>Gets where the events are, or <see langword="null"/> when they were not taken on.</summary>
    public PostReceipt? Receipt { get; } = receipt;
}

/// <summary>The handler of the event that was asked about failed; the state is as it was.</summary>
public sealed class LoopEventFailedException(string key, string reason, Exception? inner = null)
    : EventLoopException($"The event of key '{key}' could not be handled: {reason}", inner);

/// <summary>A handler waits for its own loop.</summary>
public sealed class LoopReentrancyException()
    : EventLoopException("A handler may not ask its own loop: it would wait for itself. Post without waiting, or ask from off the loop.");
