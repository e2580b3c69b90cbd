using System.ComponentModel.DataAnnotations;

namespace DistributedPatterns.Deadlines;

/// <summary>Times and limits of work that has a deadline.</summary>
public sealed class DeadlineOptions
{
    /// <summary>Gets or sets how long work has to end once it is cancelled, before it is left behind and counted.</summary>
    /// <value>From 1 millisecond to 1 minute; 25 milliseconds unless set. A budget is overrun by no more than this.</value>
    [Range(typeof(TimeSpan), "00:00:00.001", "00:01:00")]
    public TimeSpan Grace { get; set; } = TimeSpan.FromMilliseconds(25);

    /// <summary>Gets or sets how much of its budget a caller keeps back from whom it calls: for the answer's way, and to say itself what happened.</summary>
    /// <value>From 0 to 1 second; 5 milliseconds unless set. Never more than a tenth of what is left.</value>
    [Range(typeof(TimeSpan), "00:00:00", "00:00:01")]
    public TimeSpan Reserve { get; set; } = TimeSpan.FromMilliseconds(5);

    /// <summary>Gets or sets how long a stopping process lets operations go on before it cancels them.</summary>
    /// <value>From 0 to 1 minute; 5 seconds unless set.</value>
    [Range(typeof(TimeSpan), "00:00:00", "00:01:00")]
    public TimeSpan DrainLimit { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>Gets or sets how many operations may run at the same time in this process; others are not available.</summary>
    /// <value>From 1 to 1,000,000; 10,000 unless set.</value>
    [Range(1, 1_000_000)]
    public int MaxRunning { get; set; } = 10_000;

    /// <summary>Gets or sets how much detached work may be under way in this process.</summary>
    /// <value>From 1 to 100,000; 1,000 unless set.</value>
    [Range(1, 100_000)]
    public int MaxDetached { get; set; } = 1_000;
}
