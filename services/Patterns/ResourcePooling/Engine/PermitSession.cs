namespace DistributedPatterns.ResourcePooling.Engine;

/// <summary>One stay of a process among those that share permits. When its lease is over everything it held is lost at once, and it begins another one.</summary>
internal sealed class PermitSession : IDisposable
{
    private readonly CancellationTokenSource _over;
    private readonly CancellationTokenSource _lost = new();
    private readonly TimeProvider _time;
    private readonly TimeSpan _lease;
    private readonly Lock _gate = new();
    private long _renewedAt;

    /// <param name="lease">How long a renewal counts: less than on the server, so that this side stops first.</param>
    /// <param name="joinedAt">When the call was sent that let the process in.</param>
    /// <param name="whenOver">What to do at once when the stay is over. Those who hold something are told after that.</param>
    public PermitSession(string instance, TimeSpan lease, long joinedAt, TimeProvider time, Action<PermitSession> whenOver)
    {
        (Instance, Lost, _lease, _time, _renewedAt) = (instance, _lost.Token, lease, time, joinedAt);
        _over = new CancellationTokenSource(Left(), time);
        _over.Token.UnsafeRegister(_ =>
        {
            whenOver(this);
            // Not on this thread: whoever listens runs code of its own.
            _lost.CancelAsync();
        }, null);
    }

    public string Instance { get; }

    public CancellationToken Lost { get; }

    public bool IsOver => _over.IsCancellationRequested;

    /// <summary>The lease has been renewed: the server counts from when it ran the call, so this side counts from when it was sent.</summary>
    public void Renewed(long sentAt)
    {
        lock (_gate)
        {
            if (sentAt <= _renewedAt || IsOver) return; // answers may come out of order
            _renewedAt = sentAt;
            _over.CancelAfter(Left());
        }
    }

    /// <summary>The server says that the lease is over.</summary>
    public void End() => _over.CancelAfter(TimeSpan.Zero);

    public void Dispose() => _over.Dispose();

    private TimeSpan Left() => _lease - _time.GetElapsedTime(_renewedAt) is { Ticks: > 0 } left ? left : TimeSpan.Zero;
}
