using System.ComponentModel.DataAnnotations;

namespace DistributedPatterns.Supervision;

/// <summary>How often what failed is started again, and after which pause.</summary>
/// <remarks>
/// A number of restarts within a time, as an Erlang supervisor counts its intensity: what needs more is broken, and starting it
/// again only hides that. Pauses double with each failure in a row and are drawn from zero up to the result ("full jitter"), so
/// that what died together does not come back together.
/// </remarks>
public class RestartPolicy
{
    /// <summary>Gets or sets how many restarts are made within <see cref="Within"/>. One more is not made.</summary>
    /// <value>From 0 to 1,000; 5 unless set.</value>
    [Range(0, 1_000)]
    public int MaxRestarts { get; set; } = 5;

    /// <summary>Gets or sets the time in which restarts are counted: it slides.</summary>
    /// <value>From 100 milliseconds to 1 day; 1 minute unless set.</value>
    [Range(typeof(TimeSpan), "00:00:00.1", "1.00:00:00")]
    public TimeSpan Within { get; set; } = TimeSpan.FromMinutes(1);

    /// <summary>Gets or sets the longest pause before the first restart.</summary>
    /// <value>From zero (none, ever) to 10 minutes; 500 milliseconds unless set.</value>
    [Range(typeof(TimeSpan), "00:00:00", "00:10:00")]
    public TimeSpan FirstPause { get; set; } = TimeSpan.FromMilliseconds(500);

    /// <summary>Gets or sets what no pause exceeds.</summary>
    /// <value>From zero to 1 hour; 30 seconds unless set.</value>
    [Range(typeof(TimeSpan), "00:00:00", "01:00:00")]
    public TimeSpan LongestPause { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>Gets or sets how long something has to have run for its pauses to begin with the first one again.</summary>
    /// <value>From zero to 1 day; 1 minute unless set.</value>
    [Range(typeof(TimeSpan), "00:00:00", "1.00:00:00")]
    public TimeSpan StableAfter { get; set; } = TimeSpan.FromMinutes(1);

    /// <summary>Returns the pause before the restart that follows a failure.</summary>
    /// <param name="failures">How many failures in a row there have been, from 1.</param>
    /// <param name="jitter">From 0 to 1, drawn at random.</param>
    public TimeSpan PauseAfter(int failures, double jitter)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(failures, 1);
        // A power that no TimeSpan can hold, but still a number: nothing times infinity is none.
        var doubled = FirstPause.TotalMilliseconds * Math.Pow(2, Math.Min(failures - 1, 60));
        return TimeSpan.FromMilliseconds(Math.Min(LongestPause.TotalMilliseconds, doubled) * jitter);
    }
}
