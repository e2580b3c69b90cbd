namespace DistributedPatterns.Supervision.Engine;

/// <summary>What <see cref="TaskSupervisor"/> knows of a child. Changed by its loop alone, under its lock.</summary>
internal sealed class SupervisedChild(ChildDefinition definition, RestartPolicy policy, TimeProvider time)
{
    public ChildDefinition Definition { get; } = definition;

    public ChildState State { get; set; } = ChildState.Stopped;

    /// <summary>Gets or sets the start that may write; <see langword="null"/> while there is none.</summary>
    public ChildRun? Run { get; set; }

    public long Epoch { get; set; }

    public long Restarts { get; set; }

    /// <summary>Gets or sets when the pause before the next start ends, as a timestamp.</summary>
    public long Due { get; set; }

    /// <summary>Gets or sets whether it has not been started since its supervisor was: first starts are in order whatever the strategy.</summary>
    public bool IsFirst { get; set; }

    public string? Reason { get; set; }

    public string? Value { get; set; }

    public RestartBackoff Backoff { get; } = new(policy, time);

    public bool IsWaiting => State is ChildState.Waiting or ChildState.BackingOff;

    /// <summary>Gets whether those after it have to wait.</summary>
    public bool IsOnItsWay => IsWaiting || State is ChildState.Starting or ChildState.Stopping;

    public TimeSpan? StartsIn => State == ChildState.BackingOff ? Left : null;

    /// <summary>Gets the rest of the pause; zero when it is over.</summary>
    public TimeSpan Left => time.GetElapsedTime(time.GetTimestamp(), Due) is var left && left > TimeSpan.Zero ? left : TimeSpan.Zero;

    public void WaitFor(TimeSpan pause) => Due = time.GetTimestamp() + (long)(pause.TotalSeconds * time.TimestampFrequency);
}
