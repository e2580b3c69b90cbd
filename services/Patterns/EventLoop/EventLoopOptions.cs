using System.ComponentModel.DataAnnotations;

namespace DistributedPatterns.EventLoop;

/// <summary>Limits of an event loop, for both variants.</summary>
public abstract class EventLoopOptions
{
    /// <summary>Gets or sets how many partitions the keys are spread over; each handles one event at a time.</summary>
    /// <value>From 1 to 256; 16 unless set. Across processes it is fixed once events were posted.</value>
    [Range(1, 256)]
    public int Partitions { get; set; } = 16;

    /// <summary>Gets or sets how many events of a partition may wait for their turn.</summary>
    /// <value>From 100, a whole post, to 1,000,000; 4,096 unless set.</value>
    [Range(PostRequest.MaxEvents, 1_000_000)]
    public int Capacity { get; set; } = 4_096;

    /// <summary>Gets or sets how many keys may have a state in a partition.</summary>
    /// <value>From 1 to 10,000,000; 100,000 unless set.</value>
    [Range(1, 10_000_000)]
    public int MaxKeys { get; set; } = 100_000;

    /// <summary>Gets or sets what a post does when its partition is full.</summary>
    /// <value><see cref="LoopFullPolicy.Wait"/> unless set.</value>
    [EnumDataType(typeof(LoopFullPolicy))]
    public LoopFullPolicy WhenFull { get; set; }

    /// <summary>Gets or sets how long a post waits for room (<see cref="LoopFullPolicy.Wait"/> only).</summary>
    /// <value>From zero to 1 day; <see langword="null"/>, as long as the caller's token allows, unless set.</value>
    [Range(typeof(TimeSpan), "00:00:00", "1.00:00:00")]
    public TimeSpan? FullWait { get; set; }

    /// <summary>Gets or sets how many ids of posts a partition remembers.</summary>
    /// <value>From 0 to 1,000,000; 10,000 unless set. More than can be posted while somebody may still repeat a post.</value>
    [Range(0, 1_000_000)]
    public int KeepPosts { get; set; } = 10_000;

    /// <summary>Gets or sets from when on a turn counts as slow and is reported with its handler's name.</summary>
    /// <value>From 1 millisecond to 1 hour; 50 milliseconds unless set.</value>
    [Range(typeof(TimeSpan), "00:00:00.001", "01:00:00")]
    public TimeSpan SlowTurn { get; set; } = TimeSpan.FromMilliseconds(50);

    /// <summary>Gets or sets how much work of a partition may run off the loop. Beyond that the turn that asks for more fails.</summary>
    /// <value>From 1 to 10,000; 64 unless set.</value>
    [Range(1, 10_000)]
    public int MaxOffLoop { get; set; } = 64;

    /// <summary>Gets or sets how long a loop that is asked to stop goes on with what it has.</summary>
    /// <value>From zero to 10 minutes; 10 seconds unless set. Less than the host's own limit (30 seconds unless set).</value>
    [Range(typeof(TimeSpan), "00:00:00", "00:10:00")]
    public TimeSpan ShutdownLimit { get; set; } = TimeSpan.FromSeconds(10);
}

/// <summary>What a post does when its partition is full. Refusals are counted.</summary>
public enum LoopFullPolicy
{
    /// <summary>It waits for room: back-pressure.</summary>
    Wait,

    /// <summary>It is refused at once with <see cref="EventLoopFullException"/>.</summary>
    Reject,
}

/// <summary>What only the loop in one process has.</summary>
public sealed class ChannelEventLoopOptions : EventLoopOptions
{
    /// <summary>Gets or sets what the process is called where owners are listed.</summary>
    [Required]
    public string Name { get; set; } = "local";

    /// <summary>Gets or sets how many posted events have a turn for each <see cref="ReturnWeight"/> that come back from off the loop.</summary>
    /// <value>From 1 to 1,000; 4 unless set.</value>
    [Range(1, 1_000)]
    public int PostWeight { get; set; } = 4;

    /// <summary>Gets or sets how many events that come back have a turn for each <see cref="PostWeight"/> posted ones.</summary>
    /// <value>From 1 to 1,000; 4 unless set.</value>
    [Range(1, 1_000)]
    public int ReturnWeight { get; set; } = 4;
}

/// <summary>What only the loop across processes has. All processes of a system should have the same.</summary>
public sealed class RedisEventLoopOptions : EventLoopOptions
{
    /// <summary>Gets or sets the hash tag of the keys in Redis; a partition's tag is this and its number. Systems that share a Redis need one each.</summary>
    /// <value>1 to 64 letters, digits, dots, underscores or hyphens; <c>event-loop</c> unless set.</value>
    [Required, RegularExpression("^[A-Za-z0-9._-]{1,64}$")]
    public string KeyTag { get; set; } = "event-loop";

    /// <summary>Gets or sets what this process is called where owners are listed; a restart gets a new ending.</summary>
    /// <value>The id of <c>Members</c> unless set.</value>
    [RegularExpression(@"\S+")]
    public string? Name { get; set; }

    /// <summary>Gets or sets how long a process keeps its partitions without renewing. Those of a dead one have another owner within this and a third of it.</summary>
    /// <value>From 300 milliseconds to 10 minutes; 3 seconds unless set. Time is the server's.</value>
    /// <remarks>Short leases move a dead process's partitions sooner; long ones forgive pauses.</remarks>
    [Range(typeof(TimeSpan), "00:00:00.3", "00:10:00")]
    public TimeSpan Lease { get; set; } = TimeSpan.FromSeconds(3);

    /// <summary>Gets or sets how often an owner looks for events that no doorbell told it of.</summary>
    /// <value>From 10 milliseconds to 10 seconds; 250 milliseconds unless set.</value>
    [Range(typeof(TimeSpan), "00:00:00.01", "00:00:10")]
    public TimeSpan PollEvery { get; set; } = TimeSpan.FromMilliseconds(250);

    /// <summary>Gets or sets how many events an owner handles before it keeps what came of them.</summary>
    /// <value>From 1 to 500; 256 unless set. More is faster; after a loss as many may be handled again.</value>
    [Range(1, 500)]
    public int BatchSize { get; set; } = 256;

    /// <summary>Gets or sets how long a call goes on trying when Redis is away, before its error surfaces. An owner goes on as long as its lease.</summary>
    /// <value>From zero to 1 hour; 30 seconds unless set.</value>
    [Range(typeof(TimeSpan), "00:00:00", "01:00:00")]
    public TimeSpan RetryFor { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>Gets how long an owner goes on after its last renewal was sent: less than the lease, so that it has stopped when another one starts.</summary>
    internal TimeSpan LocalLease => Lease * 0.9;
}
