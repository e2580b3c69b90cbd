namespace DistributedPatterns.Supervision;

/// <summary>Draws the pauses before the restarts of one thing by a <see cref="RestartPolicy"/>. Not thread-safe.</summary>
/// <param name="policy">How long they are.</param>
/// <param name="time">Tells how long it ran.</param>
/// <param name="jitter">From 0 to 1; at random unless given.</param>
public sealed class RestartBackoff(RestartPolicy policy, TimeProvider time, Func<double>? jitter = null)
{
    private readonly Func<double> _jitter = jitter ?? Random.Shared.NextDouble;
    private long? _startedAt;
    private int _failures;

    /// <summary>Notes that it runs: from here on it counts whether it is stable.</summary>
    public void Started() => _startedAt = time.GetTimestamp();

    /// <summary>Draws the pause before the restart of what has just failed.</summary>
    public TimeSpan Next()
    {
        if (_startedAt is { } since && time.GetElapsedTime(since) >= policy.StableAfter) _failures = 0;
        _startedAt = null; // a restart that never came to run is one more failure, however long it took
        return policy.PauseAfter(++_failures, _jitter());
    }

    /// <summary>Begins with the first pause again.</summary>
    public void Reset() => (_failures, _startedAt) = (0, null);
}
