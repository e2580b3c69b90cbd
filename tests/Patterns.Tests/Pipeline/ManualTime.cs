using System.Threading.Channels;
using Microsoft.Extensions.Time.Testing;

namespace DistributedPatterns.Tests.Pipeline;

/// <summary>A clock that a test moves, and that tells it when somebody has begun to wait for it.</summary>
internal sealed class ManualTime : FakeTimeProvider
{
    private readonly Channel<TimeSpan> _timers = Channel.CreateUnbounded<TimeSpan>();

    private int _looks;

    /// <summary>Gets how often somebody has looked at the clock: who waits does not.</summary>
    public int Looks => Volatile.Read(ref _looks);

    public override long GetTimestamp()
    {
        Interlocked.Increment(ref _looks);
        return base.GetTimestamp();
    }

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var timer = base.CreateTimer(callback, state, dueTime, period);
        var isOneOff = period <= TimeSpan.Zero; // a repeating one is the run's, for its metrics
        if (isOneOff && dueTime > TimeSpan.Zero) _timers.Writer.TryWrite(dueTime);
        return timer;
    }

    /// <summary>Waits until the next one-off timer has been set, and says for how long it is.</summary>
    public ValueTask<TimeSpan> NextTimerAsync(CancellationToken cancellationToken) => _timers.Reader.ReadAsync(cancellationToken);
}
