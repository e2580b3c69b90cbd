namespace DistributedPatterns.ProducerConsumer;

/// <summary>How one delivery is to end, for <see cref="IWorkQueue{T}.SettleAsync"/>. Made from the delivery in hand, or from its id and token alone.</summary>
public readonly record struct Settlement
{
    private Settlement(SettleVerb verb, string id, long token, Delivery? delivery) => (Verb, Id, Token, Delivery) = (verb, id, token, delivery);

    public SettleVerb Verb { get; }

    public string Id { get; }

    public long Token { get; }

    /// <summary>Gets how long a nacked item waits, or how long an extended lease runs.</summary>
    public TimeSpan Time { get; private init; }

    /// <summary>Gets why an item was nacked or is dead.</summary>
    public string Reason { get; private init; } = "";

    /// <summary>Gets the bytes to keep with the end of an acknowledged item.</summary>
    public ReadOnlyMemory<byte> Result { get; private init; }

    internal Delivery? Delivery { get; }

    /// <summary>The work is done; <paramref name="result"/> is kept as long as the id is.</summary>
    public static Settlement Ack(Delivery delivery, ReadOnlyMemory<byte> result = default) => Of(SettleVerb.Ack, delivery) with { Result = result };

    /// <inheritdoc cref="Ack(Delivery, ReadOnlyMemory{byte})"/>
    public static Settlement Ack(string id, long token, ReadOnlyMemory<byte> result = default) => new(SettleVerb.Ack, id, token, null) { Result = result };

    /// <summary>The work came to its end, and its outcome is an error that is nobody's business but the producer's: kept like a result, counted as failed.</summary>
    public static Settlement Fail(Delivery delivery, ReadOnlyMemory<byte> result = default) => Of(SettleVerb.Fail, delivery) with { Result = result };

    /// <inheritdoc cref="Fail(Delivery, ReadOnlyMemory{byte})"/>
    public static Settlement Fail(string id, long token, ReadOnlyMemory<byte> result = default) => new(SettleVerb.Fail, id, token, null) { Result = result };

    /// <summary>The work failed; it comes again after <paramref name="delay"/>, at its old place, or is dead after the last attempt.</summary>
    public static Settlement Nack(Delivery delivery, TimeSpan delay, string reason) => Of(SettleVerb.Nack, delivery) with { Time = delay, Reason = reason };

    /// <inheritdoc cref="Nack(Delivery, TimeSpan, string)"/>
    public static Settlement Nack(string id, long token, TimeSpan delay, string reason) => new(SettleVerb.Nack, id, token, null) { Time = delay, Reason = reason };

    /// <summary>The work was not tried: it comes again at once, and the attempt does not count.</summary>
    public static Settlement Release(Delivery delivery) => Of(SettleVerb.Release, delivery);

    /// <inheritdoc cref="Release(Delivery)"/>
    public static Settlement Release(string id, long token) => new(SettleVerb.Release, id, token, null);

    /// <summary>The holder goes on: its lease runs for <paramref name="lease"/> from now.</summary>
    public static Settlement Extend(Delivery delivery, TimeSpan lease) => Of(SettleVerb.Extend, delivery) with { Time = lease };

    /// <inheritdoc cref="Extend(Delivery, TimeSpan)"/>
    public static Settlement Extend(string id, long token, TimeSpan lease) => new(SettleVerb.Extend, id, token, null) { Time = lease };

    /// <summary>The work can never succeed: the item is dead now, whatever attempts it has left.</summary>
    public static Settlement DeadLetter(Delivery delivery, string reason) => Of(SettleVerb.DeadLetter, delivery) with { Reason = reason };

    /// <inheritdoc cref="DeadLetter(Delivery, string)"/>
    public static Settlement DeadLetter(string id, long token, string reason) => new(SettleVerb.DeadLetter, id, token, null) { Reason = reason };

    internal Settlement WithReason(string reason) => this with { Reason = reason };

    private static Settlement Of(SettleVerb verb, Delivery delivery) => new(verb, delivery.Id, delivery.Token, delivery);
}

/// <summary>What a holder can say about its item.</summary>
public enum SettleVerb
{
    Ack,
    Nack,
    Release,
    Extend,
    DeadLetter,

    /// <summary>An <see cref="Ack"/> that is counted apart.</summary>
    Fail,
}

/// <summary>What the queue answers to a settlement.</summary>
public enum SettleOutcome
{
    /// <summary>It counts. Said again of a repeated settlement, until the item is handed out anew.</summary>
    Settled,

    /// <summary>The item is dead now: it had no attempt left, or its holder said so.</summary>
    DeadLettered,

    /// <summary>The item was cancelled meanwhile. A nack or release ended it; after an extend the holder still has it and should stop.</summary>
    Cancelled,

    /// <summary>Refused: the lease ran out, or another one holds the item. Throw the result away.</summary>
    Stale,

    /// <summary>The queue does not know the id, or has forgotten it.</summary>
    Unknown,
}
