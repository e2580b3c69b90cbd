using System.Diagnostics;
using System.Runtime.CompilerServices;

namespace DistributedPatterns.ProducerConsumer;

/// <summary>One item in one consumer's hands. Settle it once; disposing it unsettled gives it back without a counted attempt.</summary>
/// <remarks>
/// Held until it is settled. In the distributed variant the process renews the lease meanwhile, off the path of the work, and
/// <see cref="LeaseLost"/> fires when that fails for too long: stop then, for another consumer may have the item. Settling is thread safe; a
/// settlement whose answer got lost can be repeated.
/// </remarks>
public abstract class Delivery : IAsyncDisposable
{
    private readonly IDeliveryOwner _owner;
    private LazySignal _leaseLost;
    private LazySignal _cancelRequested;
    private int _ended; // 1 once settled, detached or disposed: disposing does nothing more

    private protected Delivery(IDeliveryOwner owner, string id, long token, int attempt) => (_owner, Id, Token, Attempt) = (owner, id, token, attempt);

    public string Id { get; }

    /// <summary>Gets the fence: rises with every hand-out of the queue. A store that saw a higher one for this id must refuse this one.</summary>
    public long Token { get; }

    /// <summary>Gets how often the item was handed out, this time included; releases do not count.</summary>
    public int Attempt { get; }

    /// <summary>Gets why the item comes again; <see cref="RedeliveryReason.None"/> the first time.</summary>
    public RedeliveryReason Redelivery { get; internal init; }

    /// <summary>Gets how long the item had been in the queue when it was handed out.</summary>
    public TimeSpan Age { get; internal init; }

    /// <summary>Gets how much of <see cref="WorkItem{T}.TimeToLive"/> was left when the item was handed out; <see langword="null"/> without one.</summary>
    public TimeSpan? TimeLeft { get; internal init; }

    /// <summary>Gets the span in which the item was enqueued, for a link; the default when nobody traced it.</summary>
    public ActivityContext CreatedIn => Creator?.Value ?? default;

    /// <summary>Gets what fires when this consumer must stop because it may no longer be the only holder. In process it never does, unless the queue is disposed.</summary>
    public CancellationToken LeaseLost => _leaseLost.Token;

    /// <summary>Gets what fires when somebody cancelled the item. Stop, then nack or release it; an ack still counts.</summary>
    public CancellationToken CancelRequested => _cancelRequested.Token;

    internal bool HasEnded => Volatile.Read(ref _ended) != 0;

    internal bool IsLeaseLost => _leaseLost.HasFired;

    // Mostly nobody traces, and a context is large.
    internal StrongBox<ActivityContext>? Creator { get; init; }

    /// <summary>Gets whether somebody waits for the item's end.</summary>
    internal bool IsWatched { get; init; }

    /// <summary>Gets or sets until when, by the process' monotonic clock, this consumer may think it is the only holder.</summary>
    internal long HeldUntil { get; set; }

    /// <summary>Gets or sets how many settlements are on their way; a renewal that is refused meanwhile says nothing.</summary>
    internal int Settling;

    /// <summary>The work is done.</summary>
    /// <param name="result">Kept with the item's end, for <see cref="IWorkQueue{T}.GetResultAsync"/>; at most 64 KiB.</param>
    /// <param name="cancellationToken">Ends the call.</param>
    public ValueTask<SettleOutcome> AckAsync(ReadOnlyMemory<byte> result = default, CancellationToken cancellationToken = default) =>
        _owner.SettleAsync(Settlement.Ack(this, result), cancellationToken);

    /// <summary>The work failed; it comes again after <paramref name="delay"/> or is dead after its last attempt. Without a delay it comes again at once: give a back-off.</summary>
    public ValueTask<SettleOutcome> NackAsync(TimeSpan delay, string reason, CancellationToken cancellationToken = default) =>
        _owner.SettleAsync(Settlement.Nack(this, delay, reason), cancellationToken);

    /// <summary>The work was not tried: it comes again at once, and the attempt does not count.</summary>
    public ValueTask<SettleOutcome> ReleaseAsync(CancellationToken cancellationToken = default) =>
        _owner.SettleAsync(Settlement.Release(this), cancellationToken);

    /// <summary>Keeps the item for <paramref name="lease"/> from now. Only needed after <see cref="DetachAsync"/>: until then the queue does it.</summary>
    public ValueTask<SettleOutcome> ExtendAsync(TimeSpan lease, CancellationToken cancellationToken = default) =>
        _owner.SettleAsync(Settlement.Extend(this, lease), cancellationToken);

    /// <summary>The work can never succeed: no further attempt.</summary>
    public ValueTask<SettleOutcome> DeadLetterAsync(string reason, CancellationToken cancellationToken = default) =>
        _owner.SettleAsync(Settlement.DeadLetter(this, reason), cancellationToken);

    /// <summary>Leaves the item to whoever knows its id and token, for <paramref name="lease"/> from now; nobody renews it here any more, and disposing does nothing.</summary>
    public ValueTask<SettleOutcome> DetachAsync(TimeSpan lease, CancellationToken cancellationToken = default) =>
        _owner.DetachAsync(this, lease, cancellationToken);

    /// <summary>Begins the span of the work on this item: in the consumer's own trace, linked to the span that enqueued it. Dispose it when the work is done.</summary>
    public Activity? StartProcess() => _owner.StartProcess(this);

    /// <summary>Gives the item back unless it was settled, detached or lost. Never throws: what cannot be given back comes back by its lease.</summary>
    public ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        return HasEnded ? ValueTask.CompletedTask : _owner.AbandonAsync(this);
    }

    internal Task LoseAsync() => _leaseLost.FireAsync();

    internal Task RequestCancelAsync() => _cancelRequested.FireAsync();

    /// <summary>Notes that this handle is through; false when it was already.</summary>
    internal bool End() => Interlocked.Exchange(ref _ended, 1) == 0;
}

/// <inheritdoc/>
public sealed class Delivery<T> : Delivery
{
    internal Delivery(IDeliveryOwner owner, string id, long token, int attempt, T payload) : base(owner, id, token, attempt) => Payload = payload;

    public T Payload { get; }
}

/// <summary>Why an item is delivered again.</summary>
public enum RedeliveryReason
{
    /// <summary>It is not: this is the first time.</summary>
    None,

    /// <summary>A consumer nacked it.</summary>
    Nacked,

    /// <summary>A consumer gave it back untried.</summary>
    Released,

    /// <summary>A consumer that had been heard of let its lease run out.</summary>
    Expired,

    /// <summary>It was handed out, but no consumer was ever heard of: a crash at start, or a reply that got lost.</summary>
    NeverDelivered,

    /// <summary>It was dead and was replayed.</summary>
    Replayed,
}

/// <summary>The queue behind a delivery.</summary>
internal interface IDeliveryOwner
{
    ValueTask<SettleOutcome> SettleAsync(Settlement settlement, CancellationToken cancellationToken);

    ValueTask<SettleOutcome> DetachAsync(Delivery delivery, TimeSpan lease, CancellationToken cancellationToken);

    ValueTask AbandonAsync(Delivery delivery);

    Activity? StartProcess(Delivery delivery);
}
