namespace DistributedPatterns.Members;

/// <summary>Who is alive: the instances of each service that keep their lease in Redis.</summary>
/// <remarks>
/// An instance that dies or freezes leaves within its lease (3 seconds unless set). Fail static: while Redis cannot be
/// reached, the last known set stays. All members are safe for concurrent use and never throw for an unknown role: nobody
/// of that role is alive yet.
/// </remarks>
public interface IMembers
{
    /// <summary>Gets this instance as it announced itself, or <see langword="null"/> before the first announcement or when it only looks on.</summary>
    Member? Self { get; }

    /// <summary>Gets the living instances of a service, by id in ordinal order; empty when there are none.</summary>
    /// <param name="role">The service's name, for example <c>worker</c>.</param>
    IReadOnlyList<Member> Live(string role);

    /// <summary>Yields the living instances of a service now and again after every change, newest set only.</summary>
    IAsyncEnumerable<IReadOnlyList<Member>> WatchAsync(string role, CancellationToken cancellationToken);
}
