using System.ComponentModel.DataAnnotations;

namespace DistributedPatterns.Pipeline;

/// <summary>Limits of the pipelines in one process.</summary>
public sealed class ChannelPipelineOptions
{
    /// <summary>Gets or sets how many runs may be open at the same time.</summary>
    /// <value>From 1 to 10,000; 64 unless set.</value>
    [Range(1, 10_000)]
    public int MaxRuns { get; set; } = 64;

    /// <summary>Gets or sets how many ended runs can still be found; the oldest are forgotten.</summary>
    /// <value>From 0 to 100,000; 256 unless set.</value>
    [Range(0, 100_000)]
    public int KeepEnded { get; set; } = 256;

    /// <summary>Gets or sets what new ids begin with, so that an id says which process has the run.</summary>
    /// <value>Empty unless set.</value>
    public string IdPrefix { get; set; } = "";
}
