namespace DistributedPatterns.ResourcePooling.Engine;

/// <summary>One stay of a process among those that share permits. When its lease is over everything it held is lost at once, and it begins another one.</summary>
internal sealed class PermitSession(string instance, TimeProvider time) : IDisposable
{
    private readonly CancellationTokenSource _lost = new(Timeout.InfiniteTimeSpan, time);
    private readonly Lock _gate = new();

    public string Instance => instance;

    public CancellationToken Lost => _lost.Token;

    /// <summary>The lease has been renewed: the server counts from when it ran the call, so this side counts from when it sent it.</summary>
    public void Renewed(TimeSpan left)
    {
        lock (_gate)
        {
            if (!_lost.IsCancellationRequested) _lost.CancelAfter(left > TimeSpan.Zero ? left : TimeSpan.Zero);
        }
    }

    /// <summary>The server says that the lease is over.</summary>
    public void End() => _lost.Cancel();

    public void Dispose() => _lost.Dispose();
}
