using System.ComponentModel.DataAnnotations;

namespace DistributedPatterns.ProducerConsumer;

/// <summary>Limits and times of a queue across processes. All processes that use the queue should have the same.</summary>
public sealed class RedisWorkQueueOptions : WorkQueueOptions, IValidatableObject
{
    /// <summary>How large a payload or a result may be. Larger things belong into a store, and their address into the queue.</summary>
    public const int MaxPayloadBytes = 64 * 1024;

    /// <summary>Gets or sets the hash tag of the queue's keys in Redis.</summary>
    /// <value>1 to 64 letters, digits, dots, underscores or hyphens; <see langword="null"/>, <c>queue.</c> and the queue's name, unless set.</value>
    [RegularExpression("^[A-Za-z0-9._-]{1,64}$")]
    public string? KeyTag { get; set; }

    /// <summary>Gets or sets how long a consumer keeps an item without renewing its lease.</summary>
    /// <value>From 500 milliseconds to 10 minutes; 15 seconds unless set.</value>
    /// <remarks>Short leases return a dead consumer's items sooner; long ones forgive pauses. Renewed at a third of it. Time is the server's, not ours.</remarks>
    [Range(typeof(TimeSpan), "00:00:00.5", "00:10:00")]
    public TimeSpan Lease { get; set; } = TimeSpan.FromSeconds(15);

    /// <summary>Gets or sets how long before its lease ends a holder is told to stop (<see cref="Delivery.LeaseLost"/>), by its own monotonic clock.</summary>
    /// <value>From 10 milliseconds to half of <see cref="Lease"/>; <see langword="null"/>, a tenth of the lease, unless set.</value>
    [Range(typeof(TimeSpan), "00:00:00.01", "00:05:00")]
    public TimeSpan? LeaseMargin { get; set; }

    /// <summary>Gets or sets how long an idle consumer sleeps at most before it looks again, should the doorbell not ring.</summary>
    /// <value>From 10 milliseconds to 10 seconds; 250 milliseconds unless set.</value>
    [Range(typeof(TimeSpan), "00:00:00.01", "00:00:10")]
    public TimeSpan PollEvery { get; set; } = TimeSpan.FromMilliseconds(250);

    /// <summary>Gets or sets how long a call goes on trying when Redis is away, before its error surfaces. A reserve that waits tries as long as its token allows.</summary>
    /// <value>From zero to 1 hour; 30 seconds unless set.</value>
    [Range(typeof(TimeSpan), "00:00:00", "01:00:00")]
    public TimeSpan RetryFor { get; set; } = TimeSpan.FromSeconds(30);

    internal TimeSpan Margin => LeaseMargin ?? Lease / 10;

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if (LeaseMargin > Lease / 2)
            yield return new($"LeaseMargin {LeaseMargin} is more than half of the lease {Lease}: no time would be left to work.", [nameof(LeaseMargin)]);
    }
}
