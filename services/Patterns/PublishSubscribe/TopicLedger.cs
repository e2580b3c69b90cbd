namespace DistributedPatterns.PublishSubscribe;

/// <summary>What has become of all that was published since a subscription began.</summary>
/// <param name="Published">How many messages that were, by the topic's own numbers.</param>
/// <param name="Received">Were read.</param>
/// <param name="Filtered">Were about other subjects.</param>
/// <param name="Dropped">Were given up by the subscriber's own policy.</param>
/// <param name="Gap">Were no longer there.</param>
/// <param name="Waiting">Are still to be read.</param>
public readonly record struct SubscriptionLedger(long Published, long Received, long Filtered, long Dropped, long Gap, long Waiting)
{
    /// <summary>Gets how often the topic had lost what it knew; what was lost then is in none of the numbers.</summary>
    public long Resets { get; init; }

    /// <summary>Gets whether every message is accounted for.</summary>
    public bool Balances => Published == Received + Filtered + Dropped + Gap + Waiting;
}

/// <summary>A topic, as this process sees it.</summary>
/// <param name="Published">How many messages were published in this generation; of an ephemeral topic, by this process.</param>
/// <param name="Retained">How many of them can be replayed.</param>
/// <param name="Disconnected">How many subscribers of this process were cut off.</param>
/// <param name="Subscriptions">The subscribers in this process.</param>
public sealed record TopicLedger(long Published, long Retained, long Disconnected, IReadOnlyList<SubscriptionStatus> Subscriptions);

/// <summary>One subscriber.</summary>
public sealed record SubscriptionStatus(string Subjects, OverflowPolicy Overflow, int Capacity, SubscriptionLedger Ledger);
