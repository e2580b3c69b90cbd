using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using DistributedPatterns.Members;

namespace DistributedPatterns.Tests.Pipeline;

/// <summary>Members that join and leave when a test says so.</summary>
internal sealed class FixedMembers : IMembers
{
    private readonly ConcurrentDictionary<Member, CancellationTokenSource> _living = [];
    private volatile TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public Member? Self => null;

    public Member Join(string id, string role, string start, Uri grpc)
    {
        var left = new CancellationTokenSource();
        var member = new Member(id, role, start, grpc, null, left.Token);
        _living[member] = left;
        Announce();
        return member;
    }

    public void Leave(Member member)
    {
        if (!_living.TryRemove(member, out var left)) return;
        Announce();
        left.Cancel();
    }

    public IReadOnlyList<Member> Live(string role) => [.. _living.Keys.Where(m => m.Role == role).OrderBy(m => m.Id, StringComparer.Ordinal)];

    public async IAsyncEnumerable<IReadOnlyList<Member>> WatchAsync(string role, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        while (true)
        {
            var changed = _changed.Task;
            yield return Live(role);
            await changed.WaitAsync(cancellationToken);
        }
    }

    private void Announce() =>
        Interlocked.Exchange(ref _changed, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).SetResult();

    /// <summary>The same set as one of its members sees it.</summary>
    public sealed class View(FixedMembers all) : IMembers
    {
        public Member? Self { get; set; }

        public IReadOnlyList<Member> Live(string role) => all.Live(role);

        public IAsyncEnumerable<IReadOnlyList<Member>> WatchAsync(string role, CancellationToken cancellationToken) => all.WatchAsync(role, cancellationToken);
    }
}
