namespace DistributedPatterns.Supervision;

/// <summary>Counts restarts in the sliding time of a <see cref="RestartPolicy"/>. Not thread-safe.</summary>
public sealed class RestartBudget(RestartPolicy policy, TimeProvider time)
{
    private readonly Queue<long> _spent = [];

    /// <summary>Gets the restarts that count at present.</summary>
    public int Spent
    {
        get
        {
            while (_spent.TryPeek(out var oldest) && time.GetElapsedTime(oldest) >= policy.Within) _spent.Dequeue();
            return _spent.Count;
        }
    }

    /// <summary>Gets the restarts that are left.</summary>
    public int Left => Math.Max(0, policy.MaxRestarts - Spent);

    /// <summary>Takes one restart.</summary>
    /// <returns>Whether there was one left.</returns>
    public bool TrySpend()
    {
        if (Left == 0) return false;
        _spent.Enqueue(time.GetTimestamp());
        return true;
    }

    /// <summary>Forgets what was spent.</summary>
    public void Reset() => _spent.Clear();
}
