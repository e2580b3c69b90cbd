namespace DistributedPatterns.Members;

/// <summary>The last known set of members and whoever waits for it to change.</summary>
internal sealed class MemberDirectory
{
    private readonly Lock _lock = new();
    private Dictionary<string, (Member Member, CancellationTokenSource Left)> _known = new(StringComparer.Ordinal);
    private IReadOnlyList<Member> _all = [];
    private TaskCompletionSource _changed = NewSignal();

    /// <summary>Gets all members and a task that ends at the next change; read together, so that none is missed.</summary>
    public (IReadOnlyList<Member> All, Task Changed) Read()
    {
        lock (_lock)
            return (_all, _changed.Task);
    }

    public Member? Find(string id, string start)
    {
        lock (_lock)
            return _known.TryGetValue(id, out var entry) && entry.Member.Start == start ? entry.Member : null;
    }

    /// <summary>Takes over the set that Redis gave.</summary>
    /// <param name="living">The members with their leases; a known one keeps its identity and its token.</param>
    /// <param name="keepMissing">Whether those that are missing stay: after an outage their leases ran out, not they.</param>
    public void Update(IReadOnlyList<Announcement> living, bool keepMissing)
    {
        List<CancellationTokenSource> left = [];
        TaskCompletionSource changed;
        lock (_lock)
        {
            var next = new Dictionary<string, (Member Member, CancellationTokenSource Left)>(StringComparer.Ordinal);
            var same = true;
            foreach (var announced in living)
            {
                if (_known.TryGetValue(announced.Id, out var entry) && announced.IsOf(entry.Member))
                {
                    next[announced.Id] = entry;
                    continue;
                }
                var source = new CancellationTokenSource();
                next[announced.Id] = (announced.ToMember(source.Token), source);
                same = false;
            }
            foreach (var (id, entry) in _known)
            {
                if (next.TryGetValue(id, out var now) && now.Left == entry.Left)
                    continue;
                if (keepMissing && now.Left is null)
                {
                    next[id] = entry;
                    continue;
                }
                left.Add(entry.Left);
                same = false;
            }
            if (same)
                return;
            _known = next;
            _all = [.. next.Values.Select(entry => entry.Member).OrderBy(member => member.Id, StringComparer.Ordinal)];
            (changed, _changed) = (_changed, NewSignal());
        }
        // Outside the lock: both run foreign code. First the new set, so that a cancelled call finds it when it tries again.
        changed.SetResult();
        foreach (var source in left)
            source.Cancel();
    }

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}
