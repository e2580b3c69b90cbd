namespace DistributedPatterns.RateLimiting;

/// <summary>Remembers when each permit was given: at most so many in any window, exactly, at 8 bytes of memory a permit.</summary>
/// <remarks>In any time t at most permits × (t / window, rounded down, + 1). A decision takes a short lock; use GCRA where that matters.</remarks>
public sealed class LocalWindowLogRateLimiter : LocalRateLimiter
{
    private const int FirstCapacity = 16;

    private readonly LimiterClock _clock;
    private readonly long _window;
    private readonly Lock _gate = new();
    private long[] _given = new long[FirstCapacity]; // a ring of times, oldest at _first; grows to Burst at most
    private int _first;
    private int _count;
    private long _fullAt;

    /// <summary>Makes a limiter whose windows are empty.</summary>
    /// <exception cref="ArgumentException">An option is out of its range.</exception>
    public LocalWindowLogRateLimiter(WindowOptions options, TimeProvider? time = null) : base(OptionsGuard.Checked(options).QueueLimit, time ?? TimeProvider.System)
    {
        _clock = new LimiterClock(time ?? TimeProvider.System);
        (Burst, _window) = (options.Permits, options.Window.Ticks);
    }

    /// <inheritdoc/>
    public override int Burst { get; }

    private protected override long Available
    {
        get
        {
            lock (_gate)
            {
                Forget(_clock.Now);
                return Burst - _count;
            }
        }
    }

    private protected override bool TryTake(int permits)
    {
        lock (_gate)
        {
            var now = _clock.Now;
            Forget(now);
            if (_count + Math.Max(1, permits) > Burst) return false;
            if (permits == 0) return true;
            Grow(_count + permits);
            for (var i = 0; i < permits; i++) _given[(_first + _count++) % _given.Length] = now;
            _fullAt = now + _window;
            return true;
        }
    }

    private protected override TimeSpan? UntilAvailable(int permits, long ahead)
    {
        lock (_gate)
        {
            var now = _clock.Now;
            Forget(now);
            // Who has more ahead than a window holds learns a lower bound.
            var over = _count + Math.Min(Burst, Math.Max(1, permits) + ahead) - Burst;
            return over <= 0 ? TimeSpan.Zero : TimeSpan.FromTicks(_given[(_first + over - 1) % _given.Length] + _window - now);
        }
    }

    private protected override TimeSpan? UntilFull()
    {
        lock (_gate) return TimeSpan.FromTicks(_fullAt - _clock.Now);
    }

    private void Forget(long now)
    {
        while (_count > 0 && _given[_first] + _window <= now)
        {
            _first = (_first + 1) % _given.Length;
            _count--;
        }
    }

    private void Grow(int needed)
    {
        if (needed <= _given.Length) return;
        var larger = new long[Math.Min(Burst, Math.Max(needed, _given.Length * 2))];
        for (var i = 0; i < _count; i++) larger[i] = _given[(_first + i) % _given.Length];
        (_given, _first) = (larger, 0);
    }
}
