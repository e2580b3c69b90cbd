namespace DistributedPatterns.EventLoop;

/// <summary>What a loop is whatever its events are: when it runs, its timers, how it stops.</summary>
public abstract class TurnLoopCore : IThreadPoolWorkItem, IAsyncDisposable
{
    private const int Idle = 0;
    private const int Running = 1;
    private const int TurnsARun = 4_096; // then others may have the thread
    private const int Spins = 20;

    private static readonly TimeSpan s_disposeLimit = TimeSpan.FromSeconds(10);

    [ThreadStatic]
    private static TurnLoopCore? s_current;

    private readonly PriorityQueue<Timer, (long Due, long Number)> _timers = new();
    private readonly Lock _timerGate = new();
    private readonly ITimer _alarm;
    private readonly TaskCompletionSource _drained = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private long _timerNumber;
    private bool _isAlarmed;
    private bool _isClosed;
    private int _state;

    private protected TurnLoopCore(TimeProvider time)
    {
        Time = time;
        _alarm = time.CreateTimer(static loop => ((TurnLoopCore)loop!).OnAlarm(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Gets whether the caller is in a turn of this loop.</summary>
    public bool IsInTurn => s_current == this;

    private protected TimeProvider Time { get; }

    internal TimeProvider Clock => Time;

    /// <summary>Takes nothing on any more, handles what waits within a limit, and throws away the rest. Timers that are not due by then have no turn.</summary>
    /// <returns>How many events had no turn, or have not ended it.</returns>
    public async Task<int> StopAsync(TimeSpan limit)
    {
        Volatile.Write(ref _isClosed, true);
        Close();
        Wake();
        var left = 0;
        try
        {
            await _drained.Task.WaitAsync(limit, Time).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            left = Abandon(); // the one whose turn it is may go on: it cannot be stopped
        }
        await _alarm.DisposeAsync().ConfigureAwait(false);
        return left;
    }

    /// <summary>Stops it within 10 seconds.</summary>
    public async ValueTask DisposeAsync()
    {
        await StopAsync(s_disposeLimit).ConfigureAwait(false);
        GC.SuppressFinalize(this);
    }

    void IThreadPoolWorkItem.Execute()
    {
        s_current = this;
        try
        {
            for (var left = TurnsARun; left > 0;)
            {
                var any = RunTimers();
                any |= RunSources(out var turns);
                left -= turns + 1;
                if (!any && !SpinForWork() && TryRest()) return;
            }
        }
        finally
        {
            s_current = null;
        }
        ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
    }

    /// <summary>Lets the loop run if it rests.</summary>
    internal void Wake()
    {
        if (Volatile.Read(ref _state) == Idle && Interlocked.CompareExchange(ref _state, Running, Idle) == Idle)
            ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
    }

    private protected abstract bool RunSources(out int turns);

    private protected abstract bool HasWork();

    private protected abstract void Close();

    private protected abstract int Abandon();

    private protected IDisposable SetTimer(TimeSpan delay, ITimed what)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(delay, TimeSpan.Zero);
        var due = Time.GetTimestamp() + (long)(delay.TotalSeconds * Time.TimestampFrequency);
        var timer = new Timer(what);
        lock (_timerGate)
        {
            _timers.Enqueue(timer, (due, _timerNumber++));
            if (_timers.Peek() == timer) SetAlarm();
        }
        return timer;
    }

    private void OnAlarm()
    {
        Volatile.Write(ref _isAlarmed, true);
        Interlocked.MemoryBarrier();
        Wake();
    }

    private bool RunTimers()
    {
        if (!Volatile.Read(ref _isAlarmed)) return false;
        Volatile.Write(ref _isAlarmed, false);
        var now = Time.GetTimestamp();
        while (TakeDue(now) is { } timer) timer.Run();
        return true;
    }

    private Timer? TakeDue(long now)
    {
        lock (_timerGate)
        {
            while (_timers.TryPeek(out var timer, out var place) && (place.Due <= now || timer.IsCancelled))
            {
                _timers.Dequeue();
                if (!timer.IsCancelled) return timer;
            }
            SetAlarm();
            return null;
        }
    }

    private void SetAlarm()
    {
        if (!_timers.TryPeek(out _, out var next)) return;
        var delay = Math.Max(0, (next.Due - Time.GetTimestamp()) * 1000.0 / Time.TimestampFrequency);
        // Rounded up: a timer cuts to milliseconds, and one that comes too early would come again and again.
        _alarm.Change(TimeSpan.FromMilliseconds(Math.Ceiling(delay)), Timeout.InfiniteTimeSpan);
    }

    private bool SpinForWork()
    {
        var spin = default(SpinWait);
        for (var i = 0; i < Spins; i++)
        {
            if (HasWork() || Volatile.Read(ref _isAlarmed)) return true;
            spin.SpinOnce(sleep1Threshold: -1);
        }
        return false;
    }

    private bool TryRest()
    {
        // First at rest, then a last look: who posts meanwhile either is seen here or sees the rest, and wakes the loop.
        Interlocked.Exchange(ref _state, Idle);
        if (!HasWork() && !Volatile.Read(ref _isAlarmed))
        {
            if (Volatile.Read(ref _isClosed)) _drained.TrySetResult();
            return true;
        }
        return Interlocked.CompareExchange(ref _state, Running, Idle) != Idle;
    }

    private protected interface ITimed
    {
        void Run();
    }

    private sealed class Timer(ITimed what) : IDisposable
    {
        private int _isOver;

        public bool IsCancelled => Volatile.Read(ref _isOver) == 1;

        public void Run()
        {
            if (Interlocked.Exchange(ref _isOver, 1) == 0) what.Run();
        }

        public void Dispose() => Interlocked.Exchange(ref _isOver, 1);
    }
}
