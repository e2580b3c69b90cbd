using System.ComponentModel.DataAnnotations;

namespace DistributedPatterns.Members;

/// <summary>How an instance announces itself and sees the others; section <c>Members</c>.</summary>
public sealed class MembersOptions
{
    /// <summary>Gets or sets the service that this process is an instance of.</summary>
    /// <value>OTEL_SERVICE_NAME, else the application's name. No blanks.</value>
    [Required, RegularExpression(@"\S+")]
    public string Role { get; set; } = "";

    /// <summary>Gets or sets this instance's name, unique among all that live.</summary>
    /// <value>The role and <c>service.instance.id</c> of OTEL_RESOURCE_ATTRIBUTES, else the role and eight random letters.</value>
    [Required, RegularExpression(@"\S+")]
    public string Id { get; set; } = "";

    /// <summary>Gets or sets how long a member that gives no sign counts as alive.</summary>
    /// <value>From 300 milliseconds to 5 minutes; 3 seconds unless set. It beats three times in it.</value>
    /// <remarks>A short lease finds the dead sooner, a long one forgives pauses. Time is the server's.</remarks>
    [Range(typeof(TimeSpan), "00:00:00.300", "00:05:00")]
    public TimeSpan Lease { get; set; } = TimeSpan.FromSeconds(3);

    /// <summary>Gets the time between two beats: a third of the lease.</summary>
    public TimeSpan BeatEvery => Lease / 3;

    /// <summary>Gets or sets whether this process is a member or only looks on, as a command line tool does.</summary>
    /// <value><see langword="true"/> unless set.</value>
    public bool Announce { get; set; } = true;

    /// <summary>Gets or sets the host name or address by which others reach this process.</summary>
    /// <value>That of the bound endpoint unless set; the machine's name where that is every address.</value>
    public string? Advertise { get; set; }

    /// <summary>Gets or sets what separates the members of one system from another's on the same Redis.</summary>
    /// <value><c>members</c> unless set.</value>
    [Required]
    public string Group { get; set; } = "members";
}
