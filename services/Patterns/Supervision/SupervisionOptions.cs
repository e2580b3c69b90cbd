using System.ComponentModel.DataAnnotations;

namespace DistributedPatterns.Supervision;

/// <summary>What a supervisor does about failures, for both variants.</summary>
public abstract class SupervisionOptions : RestartPolicy
{
    /// <summary>Gets or sets which children a failure takes with it, until <see cref="ISupervisor.SetStrategyAsync"/> changes it.</summary>
    /// <value><see cref="SupervisionStrategy.OneForOne"/> unless set.</value>
    [EnumDataType(typeof(SupervisionStrategy))]
    public SupervisionStrategy Strategy { get; set; }
}

/// <summary>What only the supervisor in one process has.</summary>
public sealed class TaskSupervisorOptions : SupervisionOptions
{
    /// <summary>Gets or sets what the process is called where children are listed.</summary>
    /// <value><c>local</c> unless set.</value>
    [Required]
    public string Name { get; set; } = "local";

    /// <summary>Gets or sets what becomes of the host when the supervisor gives up.</summary>
    /// <value><see cref="EscalationPolicy.StopHost"/> unless set.</value>
    [EnumDataType(typeof(EscalationPolicy))]
    public EscalationPolicy WhenEscalated { get; set; }
}

/// <summary>What becomes of the host when its supervisor gives up.</summary>
public enum EscalationPolicy
{
    /// <summary>It stops with exit code 1, once its start is through: what watches the process decides.</summary>
    StopHost,

    /// <summary>It goes on without the children, until somebody resets the supervisor.</summary>
    StayDown,
}

/// <summary>Times of the supervisor across processes. All processes of a system should have the same.</summary>
public sealed class RedisLeaseSupervisorOptions : SupervisionOptions
{
    /// <summary>Gets or sets the hash tag of the keys in Redis. Systems that share a Redis need one each.</summary>
    /// <value>1 to 64 letters, digits, dots, underscores or hyphens; <c>supervision</c> unless set.</value>
    [Required, RegularExpression("^[A-Za-z0-9._-]{1,64}$")]
    public string KeyTag { get; set; } = "supervision";

    /// <summary>Gets or sets what this process is called where owners are listed; a restart gets a new ending.</summary>
    /// <value>The id of <c>Members</c> unless set.</value>
    [RegularExpression(@"\S+")]
    public string? Name { get; set; }

    /// <summary>Gets or sets how long a process keeps its children without renewing. Those of a dead one start elsewhere within this and <see cref="PollEvery"/>.</summary>
    /// <value>From 300 milliseconds to 10 minutes; 3 seconds unless set. Time is the server's.</value>
    /// <remarks>Short leases move a dead process's children sooner; long ones forgive pauses.</remarks>
    [Range(typeof(TimeSpan), "00:00:00.3", "00:10:00")]
    public TimeSpan Lease { get; set; } = TimeSpan.FromSeconds(3);

    /// <summary>Gets or sets how often a process renews its children, and looks for those that nobody has.</summary>
    /// <value>From 20 milliseconds to 1 minute, at most a third of <see cref="Lease"/>; 500 milliseconds unless set.</value>
    [Range(typeof(TimeSpan), "00:00:00.02", "00:01:00")]
    public TimeSpan PollEvery { get; set; } = TimeSpan.FromMilliseconds(500);

    /// <summary>Gets or sets how long a call goes on trying when Redis is away, before its error surfaces. A child's write goes on as long as its lease.</summary>
    /// <value>From zero to 1 hour; 30 seconds unless set.</value>
    [Range(typeof(TimeSpan), "00:00:00", "01:00:00")]
    public TimeSpan RetryFor { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>Gets how long a child goes on after its last renewal was sent: less than the lease, so that it has stopped when another one starts.</summary>
    internal TimeSpan LocalLease => Lease * 0.9;
}
