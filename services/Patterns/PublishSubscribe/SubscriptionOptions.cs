namespace DistributedPatterns.PublishSubscribe;

/// <summary>What a subscriber asks for.</summary>
public sealed class SubscriptionOptions
{
    /// <summary>Gets or sets which subjects to listen to: a subject whose segments may be <c>*</c>, any one, and whose last may be <c>**</c>, all that follow.</summary>
    /// <value><c>**</c>, everything, unless set.</value>
    public string Subjects { get; set; } = SubjectPattern.Everything;

    /// <summary>Gets or sets where to begin.</summary>
    /// <value><see cref="TopicStart.Now"/> unless set.</value>
    public TopicStart Start { get; set; }

    /// <summary>Gets or sets what happens when the buffer is full.</summary>
    /// <value><see cref="OverflowPolicy.DropOldest"/> unless set.</value>
    public OverflowPolicy Overflow { get; set; }

    /// <summary>Gets or sets how many messages may wait for this subscriber.</summary>
    /// <value>From 1 to the topic's <see cref="TopicOptions.Buffer"/>, which it is unless set. 1 with <see cref="OverflowPolicy.Latest"/>.</value>
    /// <remarks>Messages about other subjects count until they are passed over, by the next read.</remarks>
    public int? Capacity { get; set; }

    /// <summary>Gets or sets how long publishers wait for a subscriber with <see cref="OverflowPolicy.Wait"/> that reads nothing at all, before it is cut off.</summary>
    /// <value>From zero to 1 hour; 1 second unless set. One that reads, however slowly, is waited for.</value>
    public TimeSpan WaitLimit { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>Returns how far behind its reader may be: for the latest message of some subjects as far as the ring goes.</summary>
    internal int ReachIn(int buffer) => Overflow == OverflowPolicy.Latest ? buffer : CapacityIn(buffer);

    internal int CapacityIn(int buffer)
    {
        if (Overflow == OverflowPolicy.Latest) return 1;
        ArgumentOutOfRangeException.ThrowIfLessThan(Capacity ?? buffer, 1, nameof(Capacity));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(Capacity ?? buffer, buffer, nameof(Capacity));
        ArgumentOutOfRangeException.ThrowIfLessThan(WaitLimit, TimeSpan.Zero, nameof(WaitLimit));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(WaitLimit, TimeSpan.FromHours(1), nameof(WaitLimit));
        return Capacity ?? buffer;
    }
}

/// <summary>What happens when a subscriber's buffer is full. All of it is counted.</summary>
public enum OverflowPolicy
{
    /// <summary>It misses the oldest messages that wait for it.</summary>
    DropOldest,

    /// <summary>It misses what comes until it has read something.</summary>
    DropNewest,

    /// <summary>It gets the newest message alone, of those that it listens to.</summary>
    Latest,

    /// <summary>It misses nothing. In one process publishers wait for it, within its limit; a retained topic lets it read on from the log instead.</summary>
    Wait,

    /// <summary>It is cut off, and told so.</summary>
    Disconnect,
}

/// <summary>Where a subscription begins.</summary>
public readonly record struct TopicStart
{
    private TopicStart(int last, TopicPosition? position) => (LastCount, Position) = (last, position);

    /// <summary>Gets the start with what is published from now on.</summary>
    public static TopicStart Now => default;

    /// <summary>Gets how many messages from before come first.</summary>
    public int LastCount { get; }

    /// <summary>Gets the position to go on from, if that is the start.</summary>
    public TopicPosition? Position { get; }

    /// <summary>Starts with the last messages, as far as they are kept.</summary>
    /// <param name="count">From 1.</param>
    public static TopicStart Last(int count)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 1);
        return new TopicStart(count, null);
    }

    /// <summary>Starts behind a position: what is no longer kept is a gap.</summary>
    public static TopicStart After(TopicPosition position) => new(0, position);
}
