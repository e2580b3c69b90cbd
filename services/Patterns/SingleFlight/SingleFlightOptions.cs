using System.ComponentModel.DataAnnotations;

namespace DistributedPatterns.SingleFlight;

/// <summary>Limits of one process, for both variants.</summary>
public abstract class SingleFlightOptions
{
    /// <summary>Gets or sets how many flights may be under way in this process; calls that would start another are refused.</summary>
    /// <value>From 1 to 1,000,000; 10,000 unless set.</value>
    [Range(1, 1_000_000)]
    public int MaxFlights { get; set; } = 10_000;

    /// <summary>Gets or sets how many calls may wait in this process; others are refused.</summary>
    /// <value>From 1 to 10,000,000; 100,000 unless set.</value>
    [Range(1, 10_000_000)]
    public int MaxCallers { get; set; } = 100_000;

    /// <summary>Gets or sets how long a stopping process lets flights go on before it cancels them, and then waits for them to end.</summary>
    /// <value>From 0 to 1 minute; 5 seconds unless set.</value>
    [Range(typeof(TimeSpan), "00:00:00", "00:01:00")]
    public TimeSpan DrainLimit { get; set; } = TimeSpan.FromSeconds(5);
}

/// <summary>What only the variant in one process has.</summary>
public sealed class TaskSingleFlightOptions : SingleFlightOptions
{
    /// <summary>Gets or sets how many results are kept; a further one goes to those who wait and is not kept.</summary>
    /// <value>From 0 to 1,000,000; 10,000 unless set.</value>
    [Range(0, 1_000_000)]
    public int MaxKept { get; set; } = 10_000;
}

/// <summary>Times and limits across processes. All processes of a system should have the same.</summary>
public sealed class RedisSingleFlightOptions : SingleFlightOptions
{
    /// <summary>Gets or sets what the keys in Redis begin with. Systems that share a Redis need one each.</summary>
    /// <value>1 to 64 letters, digits, dots, underscores or hyphens; <c>flights</c> unless set.</value>
    [Required, RegularExpression("^[A-Za-z0-9._-]{1,64}$")]
    public string KeyTag { get; set; } = "flights";

    /// <summary>Gets or sets how long a leader may stay silent before one that waits takes over. It renews every third of it, off the work's path.</summary>
    /// <value>From 300 milliseconds to 10 minutes; 3 seconds unless set. Time is the server's.</value>
    /// <remarks>It also bounds how long those who waited find the outcome of a run, whatever its time to live.</remarks>
    [Range(typeof(TimeSpan), "00:00:00.3", "00:10:00")]
    public TimeSpan Lease { get; set; } = TimeSpan.FromSeconds(3);

    /// <summary>Gets or sets how often a process that waits looks for the outcome, in case the doorbell was not heard.</summary>
    /// <value>From 10 milliseconds to 1 minute, at most a third of <see cref="Lease"/>; 500 milliseconds unless set. With jitter.</value>
    [Range(typeof(TimeSpan), "00:00:00.01", "00:01:00")]
    public TimeSpan PollEvery { get; set; } = TimeSpan.FromMilliseconds(500);

    /// <summary>Gets or sets how long a call goes on trying when Redis is away, before <see cref="FlightUnavailableException"/>.</summary>
    /// <value>From 0 to 1 hour; 10 seconds unless set.</value>
    [Range(typeof(TimeSpan), "00:00:00", "01:00:00")]
    public TimeSpan RetryFor { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>Gets or sets how large an encoded result may be; a larger one fails the run. Hand a reference round instead.</summary>
    /// <value>From 1 byte to 1 MiB; 64 KiB unless set.</value>
    [Range(1, 1 << 20)]
    public int MaxResultBytes { get; set; } = 64 << 10;

    /// <summary>Gets how long a leader goes on after its last renewal was sent: less than the lease, so that it has stopped when another one starts.</summary>
    internal TimeSpan LocalLease => Lease * 0.9;
}
