using System.ComponentModel.DataAnnotations;

namespace DistributedPatterns.ResourcePooling;

/// <summary>Limits of a pool, for both variants.</summary>
public class ResourcePoolOptions
{
    /// <summary>Gets or sets how many places there are in this process: each is for one open resource or for one that is waited for.</summary>
    /// <value>From 1 to 1,024; 8 unless set.</value>
    [Range(1, 1_024)]
    public int Capacity { get; set; } = 8;

    /// <summary>Gets or sets how many callers may wait for a place. The next one is turned away at once.</summary>
    /// <value>From 0 to 1,000,000; 1,000 unless set.</value>
    [Range(0, 1_000_000)]
    public int QueueLimit { get; set; } = 1_000;

    /// <summary>Gets or sets how long a caller waits that gives no limit of its own.</summary>
    /// <value>From zero to 1 hour; 5 seconds unless set.</value>
    [Range(typeof(TimeSpan), "00:00:00", "01:00:00")]
    public TimeSpan AcquireLimit { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>Gets or sets how long opening, checking or resetting one resource may take.</summary>
    /// <value>From 1 millisecond to 10 minutes; 5 seconds unless set.</value>
    [Range(typeof(TimeSpan), "00:00:00.001", "00:10:00")]
    public TimeSpan OpenLimit { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>Gets or sets how many resources may be opened at the same time: a server that comes back is not stormed.</summary>
    /// <value>From 1 to 1,024; 4 unless set.</value>
    [Range(1, 1_024)]
    public int MaxOpening { get; set; } = 4;

    /// <summary>Gets or sets how many resources are kept open while nobody needs them, from the first use on.</summary>
    /// <value>From 0 to <see cref="Capacity"/>; 0 unless set.</value>
    [Range(0, 1_024)]
    public int MinIdle { get; set; }

    /// <summary>Gets or sets how long a resource may lie idle before it is closed, unless it is one of <see cref="MinIdle"/>.</summary>
    /// <value>From 10 milliseconds to 7 days; 5 minutes unless set. It is closed at most half as long again afterwards.</value>
    [Range(typeof(TimeSpan), "00:00:00.01", "7.00:00:00")]
    public TimeSpan IdleLimit { get; set; } = TimeSpan.FromMinutes(5);

    /// <summary>Gets or sets how old a resource may grow. A lent one is closed when it comes back.</summary>
    /// <value>From 10 milliseconds to 7 days; 30 minutes unless set. Each gets up to <see cref="LifetimeJitter"/> less, so that those opened together are not closed together.</value>
    [Range(typeof(TimeSpan), "00:00:00.01", "7.00:00:00")]
    public TimeSpan MaxLifetime { get; set; } = TimeSpan.FromMinutes(30);

    /// <summary>Gets or sets the part of <see cref="MaxLifetime"/> that is drawn by lot.</summary>
    /// <value>From 0 to 0.9; 0.1 unless set.</value>
    [Range(0.0, 0.9)]
    public double LifetimeJitter { get; set; } = 0.1;

    /// <summary>Gets or sets after how long idle a resource is checked before it is lent.</summary>
    /// <value>From 10 milliseconds to 7 days; 30 seconds unless set.</value>
    [Range(typeof(TimeSpan), "00:00:00.01", "7.00:00:00")]
    public TimeSpan CheckAfter { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>Gets or sets after how long a loan is reported as a leak, with the stack of whoever took it.</summary>
    /// <value>From 10 milliseconds to 7 days; <see langword="null"/>, never, unless set.</value>
    /// <remarks>Each loan then costs the capture of a stack, some microseconds, and the way without allocations is left.</remarks>
    [Range(typeof(TimeSpan), "00:00:00.01", "7.00:00:00")]
    public TimeSpan? LeakLimit { get; set; }

    /// <summary>Gets or sets whether <see cref="IResourceFactory{T}.ResetAsync"/> is called when a resource comes back.</summary>
    /// <value><see langword="true"/> unless set. Without it, giving back is a single step.</value>
    public bool ResetOnReturn { get; set; } = true;

    /// <summary>Gets or sets how long closing the pool waits for loans to come back; those that do not are reported, and closed when they do.</summary>
    /// <value>From zero to 10 minutes; 5 seconds unless set.</value>
    [Range(typeof(TimeSpan), "00:00:00", "00:10:00")]
    public TimeSpan DrainLimit { get; set; } = TimeSpan.FromSeconds(5);
}

/// <summary>What only the pool over all processes has. All processes should have the same.</summary>
public sealed class RedisPermitPoolOptions : ResourcePoolOptions
{
    /// <summary>Gets or sets how many resources may be open over all processes.</summary>
    /// <value>From 1 to 1,024; 8 unless set.</value>
    [Range(1, 1_024)]
    public int Permits { get; set; } = 8;

    /// <summary>Gets or sets how long a process that gives no sign keeps its permits and its places in line.</summary>
    /// <value>From 300 milliseconds to 10 minutes; 3 seconds unless set. Time is the server's.</value>
    /// <remarks>Short leases return a dead process's permits sooner; long ones forgive pauses.</remarks>
    [Range(typeof(TimeSpan), "00:00:00.3", "00:10:00")]
    public TimeSpan Lease { get; set; } = TimeSpan.FromSeconds(3);

    /// <summary>Gets or sets the hash tag of the keys in Redis. Pools that do not share their permits need one each.</summary>
    /// <value>1 to 64 letters, digits, dots, underscores or hyphens; the pool's name unless set.</value>
    [RegularExpression("^[A-Za-z0-9._-]{1,64}$")]
    public string? KeyTag { get; set; }

    /// <summary>Gets how long a permit counts as held after its last renewal was sent: less than the lease, so that its user has stopped when another begins.</summary>
    internal TimeSpan LocalLease => Lease * 0.9;

    internal TimeSpan RenewEvery => Lease / 3;
}
