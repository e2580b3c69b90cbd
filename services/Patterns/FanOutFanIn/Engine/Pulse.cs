namespace DistributedPatterns.FanOutFanIn.Engine;

/// <summary>Wakes everybody who waits for a change. To be used under the lock that guards what changes, so that no change is missed.</summary>
internal sealed class Pulse
{
    private TaskCompletionSource? _next;

    public Task NextAsync() => (_next ??= new(TaskCreationOptions.RunContinuationsAsynchronously)).Task;

    public void Set()
    {
        var waiting = _next;
        _next = null;
        waiting?.SetResult();
    }
}
