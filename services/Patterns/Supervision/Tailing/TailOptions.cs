using System.ComponentModel.DataAnnotations;

namespace DistributedPatterns.Supervision.Tailing;

/// <summary>What the children of the scenario read, and how fast it grows. Settings: <c>Patterns:Supervision:Tailing</c>; the same in every process.</summary>
public sealed class TailOptions
{
    /// <summary>Gets or sets the input that the log is made of.</summary>
    /// <value>A name of <see cref="Pipeline.PipelineInputs"/>; <c>unicode-data</c> unless set.</value>
    [Required]
    public string Input { get; set; } = "unicode-data";

    /// <summary>Gets or sets how many bytes the log grows by at a time.</summary>
    /// <value>From 1 to 1 MiB; 16 KiB unless set.</value>
    [Range(1, 1 << 20)]
    public int GrowBytes { get; set; } = 16 * 1024;

    /// <summary>Gets or sets how often the log grows, and is looked at.</summary>
    /// <value>From 1 millisecond to 1 minute; 250 milliseconds unless set.</value>
    [Range(typeof(TimeSpan), "00:00:00.001", "00:01:00")]
    public TimeSpan GrowEvery { get; set; } = TimeSpan.FromMilliseconds(250);

    /// <summary>Gets or sets how long a child may give no sign before it has hung.</summary>
    /// <value>From 100 milliseconds to 10 minutes; 5 seconds unless set. Several times <see cref="GrowEvery"/>.</value>
    [Range(typeof(TimeSpan), "00:00:00.1", "00:10:00")]
    public TimeSpan HeartbeatLimit { get; set; } = TimeSpan.FromSeconds(5);
}
