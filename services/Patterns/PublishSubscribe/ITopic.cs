namespace DistributedPatterns.PublishSubscribe;

/// <summary>Takes a message from whoever has one and hands it to everybody who listens, each at a pace of its own.</summary>
/// <remarks>
/// What both variants keep:
/// <list type="bullet">
/// <item>Order: every subscriber sees the messages of a topic in the order of their <see cref="TopicPosition.Sequence"/>, each at most once.</item>
/// <item>Isolation: a subscriber that stops reading costs neither publishers nor other subscribers anything. The one exception is asked for by name,
/// <see cref="OverflowPolicy.Wait"/> in one process, and has a limit.</item>
/// <item>Bounded: no subscriber holds more than its buffer. What happens when that is full is its own <see cref="OverflowPolicy"/>, and it is counted.</item>
/// <item>Nothing is lost in silence: what a subscriber misses it is told, in its place among the messages and with the count, and for each subscriber
/// published = received + filtered + dropped + gap + waiting, in every reading of <see cref="ISubscription{T}.Ledger"/>.</item>
/// <item>Late joiners start where they ask to: with what comes, with the last n messages, or behind a position they were at.</item>
/// </list>
/// <para><see cref="ChannelTopic{T}"/> lives and dies with its process. <see cref="RedisRetainedTopic{T}"/> keeps an ordered log in Redis and delivers at least
/// once within it. <see cref="RedisEphemeralTopic{T}"/> keeps nothing: at most once, and no going back. To give each message to one of several
/// consumers instead of to all, see <see cref="TopicGroup{T}"/>.</para>
/// All members are thread safe.
/// </remarks>
/// <typeparam name="T">What the messages carry.</typeparam>
public interface ITopic<T> : IAsyncDisposable
{
    /// <summary>Gets the topic's name, unique among the topics of a system.</summary>
    string Name { get; }

    /// <summary>Publishes a message. Returns once subscribers can get it, not once they have.</summary>
    /// <param name="message">What they get.</param>
    /// <param name="subject">What it is about, in segments: <c>orders.eu.created</c>. See <see cref="SubjectPattern"/>.</param>
    /// <param name="cancellationToken">Ends the waiting; whether a message that was on its way is published is then not known.</param>
    /// <returns>Where the message stands.</returns>
    /// <exception cref="MessageTooLargeException">The message is larger than what the topic carries.</exception>
    /// <exception cref="TopicClosedException">The topic is closed in this process.</exception>
    ValueTask<TopicPosition> PublishAsync(T message, string subject = SubjectPattern.Default, CancellationToken cancellationToken = default);

    /// <summary>Publishes messages in order, in few steps. Those of other publishers may come between them.</summary>
    /// <returns>Where the last of them stands.</returns>
    ValueTask<TopicPosition> PublishAsync(ReadOnlyMemory<T> messages, string subject = SubjectPattern.Default, CancellationToken cancellationToken = default);

    /// <summary>Begins to listen. Once it returns, what is published is for this subscriber too. Dispose the subscription.</summary>
    /// <param name="options">What to listen to, from where, and what to do when reading is too slow.</param>
    /// <param name="cancellationToken">Ends the call.</param>
    /// <exception cref="TooManySubscribersException">The topic has as many in this process as it takes.</exception>
    /// <exception cref="UnsupportedSubscriptionException">This kind of topic cannot do what the options ask for.</exception>
    ValueTask<ISubscription<T>> SubscribeAsync(SubscriptionOptions options, CancellationToken cancellationToken = default);

    /// <summary>Counts everything: the topic, and the subscribers in this process.</summary>
    ValueTask<TopicLedger> LedgerAsync(CancellationToken cancellationToken = default);
}
