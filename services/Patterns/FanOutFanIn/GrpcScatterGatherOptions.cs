using System.ComponentModel.DataAnnotations;

namespace DistributedPatterns.FanOutFanIn;

/// <summary>Limits and times of fan-out/fan-in across processes.</summary>
public sealed class GrpcScatterGatherOptions
{
    /// <summary>Gets or sets how many gatherings may be open at the same time, in this process.</summary>
    /// <value>From 1 to 100,000; 1,024 unless set.</value>
    [Range(1, 100_000)]
    public int MaxOpen { get; set; } = 1_024;

    /// <summary>Gets or sets whose members run the branches.</summary>
    /// <value>A service's name; <c>worker</c> unless set.</value>
    [Required]
    public string Role { get; set; } = "worker";

    /// <summary>Gets or sets how many items one worker runs at the same time when the caller sets no degree.</summary>
    /// <value>From 1 to 256; 2 unless set.</value>
    [Range(1, 256)]
    public int DegreePerWorker { get; set; } = 2;

    /// <summary>Gets or sets how many workers may be lost with an item before it counts as failed.</summary>
    /// <value>From 1 to 10; 3 unless set.</value>
    [Range(1, 10)]
    public int MaxAttempts { get; set; } = 3;

    /// <summary>Gets or sets how long to wait for a worker while there is none.</summary>
    /// <value>From 100 milliseconds to 1 hour; 10 seconds unless set. A shorter deadline of the caller counts.</value>
    [Range(typeof(TimeSpan), "00:00:00.1", "01:00:00")]
    public TimeSpan MemberWait { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>Gets or sets how long branches have to end once they are cancelled, before they are left behind.</summary>
    /// <value>From 10 milliseconds to 1 minute; 1 second unless set. A deadline is kept to within it.</value>
    [Range(typeof(TimeSpan), "00:00:00.010", "00:01:00")]
    public TimeSpan Grace { get; set; } = TimeSpan.FromSeconds(1);
}
