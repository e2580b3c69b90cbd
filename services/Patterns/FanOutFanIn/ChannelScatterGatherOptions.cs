using System.ComponentModel.DataAnnotations;

namespace DistributedPatterns.FanOutFanIn;

/// <summary>Times of fan-out/fan-in in one process.</summary>
public sealed class ChannelScatterGatherOptions
{
    /// <summary>Gets or sets how many gatherings may be open at the same time, in this process.</summary>
    /// <value>From 1 to 100,000; 1,024 unless set.</value>
    [Range(1, 100_000)]
    public int MaxOpen { get; set; } = 1_024;

    /// <summary>Gets or sets how long branches have to end once they are cancelled, before they are left behind.</summary>
    /// <value>From 10 milliseconds to 1 minute; 1 second unless set. A deadline is kept to within it.</value>
    [Range(typeof(TimeSpan), "00:00:00.010", "00:01:00")]
    public TimeSpan Grace { get; set; } = TimeSpan.FromSeconds(1);
}
