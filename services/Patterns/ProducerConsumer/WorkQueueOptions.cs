using System.ComponentModel.DataAnnotations;

namespace DistributedPatterns.ProducerConsumer;

/// <summary>Limits of a queue, for both variants.</summary>
public abstract class WorkQueueOptions
{
    /// <summary>Gets or sets how many items may be waiting, delayed and in hand together.</summary>
    /// <value>From 1 to 1,000,000; 1,024 unless set.</value>
    [Range(1, 1_000_000)]
    public int Capacity { get; set; } = 1_024;

    /// <summary>Gets or sets what a full queue does with the next item.</summary>
    /// <value><see cref="QueueFullPolicy.Wait"/> unless set.</value>
    [EnumDataType(typeof(QueueFullPolicy))]
    public QueueFullPolicy WhenFull { get; set; }

    /// <summary>Gets or sets how long an enqueue waits for room before it is told Full (<see cref="QueueFullPolicy.Wait"/> only).</summary>
    /// <value>From zero to 1 day; <see langword="null"/>, as long as the caller's token allows, unless set.</value>
    [Range(typeof(TimeSpan), "00:00:00", "1.00:00:00")]
    public TimeSpan? FullWait { get; set; }

    /// <summary>Gets or sets how often an item is handed out before it is dead. A crash or a lost lease counts, a release does not.</summary>
    /// <value>From 1 to 1,000; 5 unless set.</value>
    [Range(1, 1_000)]
    public int MaxAttempts { get; set; } = 5;

    /// <summary>Gets or sets how many dead letters are kept; the oldest make room, counted as dropped.</summary>
    /// <value>From 1 to 1,000,000; 10,000 unless set.</value>
    [Range(1, 1_000_000)]
    public int DeadCapacity { get; set; } = 10_000;

    /// <summary>Gets or sets how many ended items are remembered at most: their ids against a second enqueue, their results for readers.</summary>
    /// <value>From 1 to 1,000,000; 10,000 unless set. At least rate × <see cref="DoneKeepFor"/>, or ids are forgotten sooner than that.</value>
    [Range(1, 1_000_000)]
    public int DoneKeep { get; set; } = 10_000;

    /// <summary>Gets or sets how long an ended item is remembered at most. Longer than the longest retry of a producer.</summary>
    /// <value>From 1 second to 7 days; 10 minutes unless set.</value>
    [Range(typeof(TimeSpan), "00:00:01", "7.00:00:00")]
    public TimeSpan DoneKeepFor { get; set; } = TimeSpan.FromMinutes(10);

    /// <summary>Gets or sets how many later items of priority 0 pass one of priority 1. The same for all producers of a queue.</summary>
    /// <value>From 1 to 1,000,000; 100 unless set.</value>
    [Range(1, 1_000_000)]
    public int PriorityStep { get; set; } = 100;
}
