namespace DistributedPatterns;

/// <summary>Says how often a process may be started again, and after which pause.</summary>
/// <remarks>
/// Five restarts within a minute, as an Erlang supervisor counts its intensity: what needs more is broken, and starting it
/// again only hides that. Pauses double with each restart in that minute and are drawn from zero up to the result ("full
/// jitter"), so that replicas that died together do not come back together.
/// </remarks>
internal sealed class RestartBudget(TimeProvider time, Func<double>? jitter = null)
{
    public const int Restarts = 5;

    public static readonly TimeSpan Window = TimeSpan.FromSeconds(60);

    private static readonly TimeSpan s_firstPause = TimeSpan.FromMilliseconds(500);

    private readonly Func<double> _jitter = jitter ?? Random.Shared.NextDouble;
    private readonly Queue<long> _spent = [];

    /// <summary>Gets the restarts that count at present.</summary>
    public int Spent => _spent.Count;

    /// <summary>Takes one restart and gives the pause before it, or <see langword="null"/> when none is left.</summary>
    public TimeSpan? Spend()
    {
        while (_spent.TryPeek(out var oldest) && time.GetElapsedTime(oldest) >= Window)
        {
            _spent.Dequeue();
        }

        if (_spent.Count == Restarts)
        {
            return null;
        }

        var longest = s_firstPause * Math.Pow(2, _spent.Count);
        _spent.Enqueue(time.GetTimestamp());
        return longest * _jitter();
    }
}
