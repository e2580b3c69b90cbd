using System.ComponentModel.DataAnnotations;

namespace DistributedPatterns.PublishSubscribe;

/// <summary>Limits of a topic, for all kinds.</summary>
public abstract class TopicOptions
{
    /// <summary>Gets or sets how many messages a process keeps for its subscribers, all together: the largest buffer that one of them can have.</summary>
    /// <value>From 1 to 1,048,576; 1,024 unless set. Rounded up to a power of two.</value>
    [Range(1, 1 << 20)]
    public int Buffer { get; set; } = 1_024;

    /// <summary>Gets or sets how many subscribers a topic takes in one process.</summary>
    /// <value>From 1 to 100,000; 1,024 unless set.</value>
    [Range(1, 100_000)]
    public int MaxSubscribers { get; set; } = 1_024;
}

/// <summary>Limits of a topic inside one process.</summary>
public sealed class ChannelTopicOptions : TopicOptions;

/// <summary>Limits of a topic across processes. All processes that use it should have the same.</summary>
public class RedisTopicOptions : TopicOptions
{
    /// <summary>How large a message may be, with its subject. Larger things belong into a store, and their address into the topic.</summary>
    public const int MaxMessageBytes = 64 * 1024;

    /// <summary>Gets or sets the hash tag of the topic's keys and channels in Redis.</summary>
    /// <value>1 to 64 letters, digits, dots, underscores or hyphens; <see langword="null"/>, <c>topic.</c> and the topic's name, unless set.</value>
    [RegularExpression("^[A-Za-z0-9._-]{1,64}$")]
    public string? KeyTag { get; set; }
}

/// <summary>Limits of a topic with a log.</summary>
public sealed class RedisRetainedTopicOptions : RedisTopicOptions
{
    /// <summary>Gets or sets how many messages the log keeps, for those who come late or were away.</summary>
    /// <value>From 1 to 1,000,000; 10,000 unless set. Each may have up to 64 KiB.</value>
    [Range(1, 1_000_000)]
    public int Retain { get; set; } = 10_000;

    /// <summary>Gets or sets how long a process sleeps at most before it looks at the log, should the doorbell not ring.</summary>
    /// <value>From 10 milliseconds to 10 seconds; 250 milliseconds unless set.</value>
    [Range(typeof(TimeSpan), "00:00:00.01", "00:00:10")]
    public TimeSpan PollEvery { get; set; } = TimeSpan.FromMilliseconds(250);

    /// <summary>Gets or sets how long a publisher goes on trying when Redis is away, before its error surfaces.</summary>
    /// <value>From zero to 1 hour; 30 seconds unless set.</value>
    [Range(typeof(TimeSpan), "00:00:00", "01:00:00")]
    public TimeSpan RetryFor { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>Gets or sets how long Redis remembers what a silent publisher sent last, so that sending it again adds nothing.</summary>
    /// <value>From 1 minute to 7 days, longer than <see cref="RetryFor"/>; 1 hour unless set.</value>
    [Range(typeof(TimeSpan), "00:01:00", "7.00:00:00")]
    public TimeSpan RememberPublishersFor { get; set; } = TimeSpan.FromHours(1);
}
