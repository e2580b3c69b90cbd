using StackExchange.Redis;

namespace DistributedPatterns.Supervision.Engine;

/// <summary>A child that this process has, and what is to be said of it.</summary>
internal sealed class RedisHeldChild(ChildRun run)
{
    private const string StoppedEvent = "stopped";

    private Task<bool>? _stopping;
    private bool _isHung;
    private string _signal = "";

    public ChildRun Run => run;

    /// <summary>Gets whether another process has it by now: nothing is said of it any more.</summary>
    public bool IsLost { get; private set; }

    /// <summary>Gets whether it has ended. One that was given up on has not.</summary>
    public bool HasStopped => run.End is not null;

    /// <summary>Gets whether it was told to stop and has not within its limit.</summary>
    public bool WasGivenUp => _stopping is { IsCompletedSuccessfully: true, Result: false };

    /// <summary>Gets when to look for its next sign of life at the latest.</summary>
    public TimeSpan? LookIn => _stopping is null && run.End is null ? run.HeartbeatLeft : null;

    /// <summary>Makes one that has nothing to stop: it was told to stop before it was started.</summary>
    public static RedisHeldChild NeverStarted(ChildRun run) => new(run) { _stopping = Task.FromResult(true) };

    /// <summary>Returns whether a report is the last one.</summary>
    public static bool IsFinal(RedisValue[] report) => report[2] != "hold" && report[2] != "up";

    /// <summary>Returns name, epoch, event, reason. The same again until it has been received.</summary>
    public RedisValue[] Report()
    {
        // A hung child, or one that was told to stop, counts as ended when it has, or when its limit has passed: what runs on cannot write.
        if (_isHung && _stopping is { IsCompleted: true }) return [run.Name, run.Epoch, "hung", run.AsHung.Reason];
        if (_isHung) return Hold();
        if (_stopping is { IsCompleted: true }) return [run.Name, run.Epoch, StoppedEvent, StoppedEvent];
        return run.End switch
        {
            null => Hold(),
            { Kind: ChildEndKind.Stopped } end => [run.Name, run.Epoch, StoppedEvent, end.Reason],
            { Kind: ChildEndKind.EndTree } end => [run.Name, run.Epoch, "tree", end.Reason],
            { } end => [run.Name, run.Epoch, end.Kind.ToString().ToLowerInvariant(), end.Reason],
        };
    }

    public RedisValue[] Hold() => [run.Name, run.Epoch, run.IsUp ? "up" : "hold", ""];

    public void LookForHang(Action changed)
    {
        if (_stopping is not null || run.End is not null || run.HeartbeatLeft is not { } left || left > TimeSpan.Zero) return;
        _isHung = true;
        Stop(changed);
    }

    /// <summary>Hands a signal on, once.</summary>
    public void Deliver(string signal)
    {
        if (signal == _signal || signal.Length == 0) return;
        _signal = signal;
        if (Enum.TryParse<ChildSignal>(signal.Split(':')[0], out var known)) run.Signal(known);
    }

    /// <summary>Begins to stop it.</summary>
    public void Stop(Action changed)
    {
        if (_stopping is null && run.End is null) _stopping = StopThenAsync(changed);
    }

    public void Lose(Action changed)
    {
        IsLost = true;
        Stop(changed);
    }

    /// <summary>Stops it and waits for that, at most for its limit.</summary>
    public Task StopAsync()
    {
        Stop(() => { });
        return _stopping ?? Task.CompletedTask;
    }

    private async Task<bool> StopThenAsync(Action changed)
    {
        var hasStopped = await run.StopAsync().ConfigureAwait(false);
        changed();
        return hasStopped;
    }
}
