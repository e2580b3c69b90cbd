using System.Text.Json;

namespace DistributedPatterns.EventLoop;

/// <summary>Keeps a state a key, and changes it by events: one at a time, in the order in which they were taken on.</summary>
/// <remarks>
/// What both variants keep:
/// <list type="bullet">
/// <item>The events of a key are handled in the order in which their posts returned, one at a time. A handler needs no lock.</item>
/// <item>The events of a post are taken on together or not at all, and nothing comes between them in their partition.</item>
/// <item>A post with an id that was taken on before is not taken on again (<see cref="PostReceipt.IsNew"/>).</item>
/// <item>Bounded: no more than <c>Capacity</c> events of a partition wait, and no more than <c>MaxKeys</c> keys have a state in it. Beyond that a post waits or is refused, and is counted.</item>
/// <item>A handler's error is the event's own: after its attempts the event is dead, the state stays as it was, and the next event has its turn.</item>
/// <item>Nothing is lost in silence: accepted = applied + dead + waiting (<see cref="EventLedger"/>) in every reading of a partition.</item>
/// </list>
/// <para><see cref="ChannelEventLoop"/> lives and dies with its process. <see cref="RedisEventLoop"/> keeps events, states and timers in Redis, where each
/// partition is owned by one process at a time: an event may be handled twice when its owner is lost, and changes the state once.</para>
/// </remarks>
public interface IEventLoop
{
    /// <summary>Takes events for a key on. They are handled later.</summary>
    /// <exception cref="UnknownLoopHandlerException">No handler of that name is registered.</exception>
    /// <exception cref="LoopEventException">An event is not what its handler takes, or the request is not what a post can be.</exception>
    /// <exception cref="EventLoopFullException">There was no room, at once or within the limit.</exception>
    /// <exception cref="PartitionFencedException">The partition is no longer under <see cref="PostRequest.Epoch"/>.</exception>
    /// <exception cref="EventLoopStoppedException">The loop takes nothing on any more.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled while waiting for room. Across processes the events may have been taken on: ask again with the same id.</exception>
    ValueTask<PostReceipt> PostAsync(PostRequest request, CancellationToken cancellationToken = default);

    /// <summary>Posts, and waits until the last of the events has been handled.</summary>
    /// <param name="request">What <see cref="PostAsync"/> takes, and it throws what that throws.</param>
    /// <param name="within">How long to wait, for room and for the events' turn.</param>
    /// <param name="cancellationToken">Ends the waiting. The events stay taken on.</param>
    /// <returns>The state then; later events may have changed it already.</returns>
    /// <exception cref="AskTimedOutException">It was not handled in time. It still will be.</exception>
    /// <exception cref="LoopEventFailedException">The last event's handler failed.</exception>
    /// <exception cref="LoopReentrancyException">A handler asks its own loop, which would wait for itself.</exception>
    ValueTask<KeyState> AskAsync(PostRequest request, TimeSpan within, CancellationToken cancellationToken = default);

    /// <summary>Reads the state of a key, or <see langword="null"/> when it has none.</summary>
    ValueTask<KeyState?> ReadAsync(string key, CancellationToken cancellationToken = default);

    /// <summary>Reads the partitions: who owns them since which epoch, what waits, what is slow.</summary>
    ValueTask<EventLoopStatus> GetStatusAsync(CancellationToken cancellationToken = default);
}

/// <summary>An event: which handler it is for, and what happened.</summary>
/// <param name="Handler">The name of a registered <see cref="LoopHandler"/>.</param>
/// <param name="Body">What the handler takes, as JSON, 64 KiB at most.</param>
public readonly record struct LoopEvent(string Handler, JsonElement Body);

/// <summary>Events for a key.</summary>
/// <param name="Key">1 to 128 ASCII letters, digits, and any of <c>. _ - : @</c>.</param>
/// <param name="Events">From 1 to <see cref="MaxEvents"/>.</param>
public sealed record PostRequest(string Key, IReadOnlyList<LoopEvent> Events)
{
    /// <summary>The most events of a post.</summary>
    public const int MaxEvents = 100;

    /// <summary>The most bytes of an event's body.</summary>
    public const int MaxBodyBytes = 64 * 1024;

    public PostRequest(string key, LoopEvent one) : this(key, [one])
    {
    }

    /// <summary>Gets what tells this post from others, 1 to 128 visible ASCII characters, or <see langword="null"/>. The same id again is the same post.</summary>
    public string? Id { get; init; }

    /// <summary>Gets the epoch that the key's partition has to be under, or <see langword="null"/> for any.</summary>
    public long? Epoch { get; init; }
}

/// <summary>Events were taken on.</summary>
/// <param name="Partition">Where the key belongs.</param>
/// <param name="Position">The place of the last event in its partition. Positions rise, with gaps across processes.</param>
/// <param name="IsNew">Whether this call took them on, or one with the same id before.</param>
public readonly record struct PostReceipt(int Partition, long Position, bool IsNew);

/// <summary>What has become of a key so far.</summary>
/// <param name="Applied">How many posted events have changed it since it has a state.</param>
/// <param name="Position">The place of the last of them.</param>
/// <param name="State">The state, or <see langword="null"/> when its handler has ended it.</param>
public sealed record KeyState(string Key, int Partition, long Applied, long Position, JsonElement? State);
