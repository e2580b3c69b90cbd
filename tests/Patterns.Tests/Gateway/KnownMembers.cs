using System.Runtime.CompilerServices;
using DistributedPatterns.Members;

namespace DistributedPatterns.Tests.Gateway;

/// <summary>Members that the test names, for what needs no Redis.</summary>
internal sealed class KnownMembers : IMembers
{
    private readonly List<Member> _all = [];

    public Member? Self => null;

    public void Add(string id, Uri http) => _all.Add(new Member(id, "gateway", "1", null, http, CancellationToken.None));

    public IReadOnlyList<Member> Live(string role) => [.. _all.Where(member => member.Role == role)];

    public async IAsyncEnumerable<IReadOnlyList<Member>> WatchAsync(string role, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        yield return Live(role);
        await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, cancellationToken);
    }
}
