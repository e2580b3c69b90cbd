using System.Globalization;

namespace DistributedPatterns.PublishSubscribe;

/// <summary>The base of what a topic throws for reasons of its own.</summary>
public abstract class TopicException(string message) : Exception(message);

/// <summary>A message is larger than the topic carries.</summary>
public sealed class MessageTooLargeException(string topic, int limitBytes, int actualBytes) : TopicException(string.Create(
    CultureInfo.InvariantCulture, $"Topic '{topic}' carries {limitBytes:N0} bytes a message, this one has {actualBytes:N0}. Store it elsewhere and publish where it lies."))
{
    public int LimitBytes { get; } = limitBytes;

    public int ActualBytes { get; } = actualBytes;
}

/// <summary>The topic is closed in this process.</summary>
public sealed class TopicClosedException(string topic) : TopicException($"Topic '{topic}' is closed in this process and takes nothing more.");

/// <summary>The topic has as many subscribers in this process as it takes.</summary>
public sealed class TooManySubscribersException(string topic, int limit) : TopicException(string.Create(
    CultureInfo.InvariantCulture, $"Topic '{topic}' has {limit:N0} of {limit:N0} subscribers in this process. Dispose some, or raise MaxSubscribers."))
{
    public int Limit { get; } = limit;
}

/// <summary>A kind of topic cannot do what a subscription asks for.</summary>
public sealed class UnsupportedSubscriptionException(string topic, string what) : TopicException(
    $"Topic '{topic}' is ephemeral and keeps nothing, so there is no {what}. Use a retained one.");

/// <summary>A subscriber was cut off by its own policy.</summary>
public sealed class SubscriberDisconnectedException(string topic, OverflowPolicy overflow, int capacity, long missed) : TopicException(string.Create(
    CultureInfo.InvariantCulture,
    $"A subscriber of topic '{topic}' was cut off ({overflow}): {missed:N0} messages wait, it may have {capacity:N0}. Read faster, raise Capacity, or go on from its Position."))
{
    public OverflowPolicy Overflow { get; } = overflow;

    public int Capacity { get; } = capacity;

    /// <summary>Gets how many messages it had not read.</summary>
    public long Missed { get; } = missed;
}
