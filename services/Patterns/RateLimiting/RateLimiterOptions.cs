using System.ComponentModel.DataAnnotations;

namespace DistributedPatterns.RateLimiting;

/// <summary>A rate with a burst.</summary>
public class RateLimitRule : IValidatableObject
{
    /// <summary>Gets or sets how many permits are earned in each <see cref="Period"/>.</summary>
    /// <value>From 1 to 1,000,000,000; 100 unless set.</value>
    [Range(1, 1_000_000_000)]
    public int Permits { get; set; } = 100;

    /// <summary>Gets or sets the time in which <see cref="Permits"/> are earned.</summary>
    /// <value>From 1 millisecond to 1 day; 1 second unless set.</value>
    [Range(typeof(TimeSpan), "00:00:00.001", "1.00:00:00")]
    public TimeSpan Period { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>Gets or sets the most permits that can be had at once, after a time of rest.</summary>
    /// <value>From 1 to 1,000,000,000; 100 unless set. Earning them all may take a year at most.</value>
    [Range(1, 1_000_000_000)]
    public int Burst { get; set; } = 100;

    /// <inheritdoc/>
    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if ((Int128)Burst * Period.Ticks > (Int128)Permits * TimeSpan.FromDays(366).Ticks)
            yield return new ValidationResult($"A burst of {Burst} at {Permits} each {Period} takes over a year to earn. Lower Burst.", [nameof(Burst)]);
    }
}

/// <summary>What GCRA and the token bucket keep to.</summary>
public sealed class BucketOptions : RateLimitRule
{
    /// <summary>Gets or sets how many permits may be waited for in one process.</summary>
    /// <value>From 0 (nobody waits) to 1,000,000; 0 unless set.</value>
    [Range(0, 1_000_000)]
    public int QueueLimit { get; set; }
}

/// <summary>At most so many permits in any window of time.</summary>
public sealed class WindowOptions
{
    /// <summary>Gets or sets how many permits a window has.</summary>
    /// <value>From 1 to 1,000,000; 100 unless set.</value>
    [Range(1, 1_000_000)]
    public int Permits { get; set; } = 100;

    /// <summary>Gets or sets the length of the window.</summary>
    /// <value>From 10 milliseconds to 1 day; 1 second unless set.</value>
    [Range(typeof(TimeSpan), "00:00:00.010", "1.00:00:00")]
    public TimeSpan Window { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>Gets or sets how many permits may be waited for in one process.</summary>
    /// <value>From 0 (nobody waits) to 1,000,000; 0 unless set.</value>
    [Range(0, 1_000_000)]
    public int QueueLimit { get; set; }
}

/// <summary>At most so many permits held at the same time.</summary>
public sealed class ConcurrencyOptions
{
    /// <summary>Gets or sets how many permits can be held at the same time.</summary>
    /// <value>From 1 to 1,000,000; 10 unless set.</value>
    [Range(1, 1_000_000)]
    public int Permits { get; set; } = 10;

    /// <summary>Gets or sets how many permits may be waited for in one process.</summary>
    /// <value>From 0 (nobody waits) to 1,000,000; 0 unless set.</value>
    [Range(0, 1_000_000)]
    public int QueueLimit { get; set; }
}

/// <summary>One after the other, at a fixed distance.</summary>
public sealed class PacerOptions
{
    /// <summary>Gets or sets the least time between two that are let go.</summary>
    /// <value>From 1 microsecond to 1 day; 10 milliseconds unless set.</value>
    [Range(typeof(TimeSpan), "00:00:00.000001", "1.00:00:00")]
    public TimeSpan Interval { get; set; } = TimeSpan.FromMilliseconds(10);

    /// <summary>Gets or sets how many may wait for their turn in one process.</summary>
    /// <value>From 0 to 1,000,000; 1,000 unless set.</value>
    [Range(0, 1_000_000)]
    public int QueueLimit { get; set; } = 1_000;
}

/// <summary>Refuses options out of their ranges where no container has done so.</summary>
internal static class OptionsGuard
{
    /// <exception cref="ArgumentException">A value is out of its range; the message names it.</exception>
    public static T Checked<T>(T options) where T : class
    {
        ArgumentNullException.ThrowIfNull(options);
        var wrong = new List<ValidationResult>();
        return Validator.TryValidateObject(options, new ValidationContext(options), wrong, validateAllProperties: true)
            ? options
            : throw new ArgumentException(string.Join(" ", wrong.Select(result => result.ErrorMessage)), nameof(options));
    }
}
