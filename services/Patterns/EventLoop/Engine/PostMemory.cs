namespace DistributedPatterns.EventLoop.Engine;

/// <summary>Remembers the last posts that came with an id. Thread-safe.</summary>
internal sealed class PostMemory(int limit)
{
    private readonly Lock _gate = new();
    private readonly Dictionary<string, RememberedPost> _posts = new(StringComparer.Ordinal);
    private readonly Queue<string> _order = new();

    /// <returns>The post of that id, and whether it was not known.</returns>
    public (RememberedPost Post, bool IsNew) Remember(string id)
    {
        lock (_gate)
        {
            if (_posts.TryGetValue(id, out var known)) return (known, false);
            var post = new RememberedPost();
            if (limit == 0) return (post, true);
            while (_order.Count >= limit) _posts.Remove(_order.Dequeue());
            _posts[id] = post;
            _order.Enqueue(id);
            return (post, true);
        }
    }

    /// <summary>Forgets a post that was not taken on. Its place in the order stays, and may cost another post some of its time.</summary>
    public void Forget(string id)
    {
        lock (_gate) _posts.Remove(id);
    }
}

/// <summary>A post, as those wait for it who send it again.</summary>
internal sealed class RememberedPost
{
    public TaskCompletionSource<PostReceipt> Receipt { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public OutcomeSource Outcome { get; } = new();
}
