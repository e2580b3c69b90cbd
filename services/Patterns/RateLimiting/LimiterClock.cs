using System.Runtime.CompilerServices;

namespace DistributedPatterns.RateLimiting;

/// <summary>Time since the limiter was made, in ticks of 100 ns; and, cheaper, two times that it lies between.</summary>
/// <remarks>
/// Reading the system's monotonic clock costs more than all the rest of a decision. Its coarse sister is a few milliseconds
/// behind and cheap. Where a decision is the same anywhere between <see cref="TryBracket"/>'s two ends, the exact time is not
/// needed. Only the system's own provider has a coarse sister; any other is read each time.
/// </remarks>
internal sealed class LimiterClock
{
    /// <summary>How far the bracket's ends lie apart: twice the slowest coarse clock (Windows: 15.6 ms) and some drift.</summary>
    public const long Spread = 40 * TimeSpan.TicksPerMillisecond;

    private const long MostApart = 10; // ms between the readings of the two clocks: one held longer in between would lie outside the bracket
    private const long AnchorHolds = 1_000; // ms: the two clocks may drift by hundreds of ppm

    private readonly TimeProvider _time;
    private readonly long _origin;
    private readonly double _ticksPerTimestamp;
    private readonly bool _hasCoarse;
    private long _shift;
    private long _anchoredUntil = long.MinValue;

    public LimiterClock(TimeProvider time)
    {
        _time = time;
        _origin = time.GetTimestamp();
        _ticksPerTimestamp = (double)TimeSpan.TicksPerSecond / time.TimestampFrequency;
        _hasCoarse = ReferenceEquals(time, TimeProvider.System);
    }

    public TimeProvider Provider => _time;

    /// <summary>Reads the time exactly.</summary>
    public long Now
    {
        get
        {
            if (!_hasCoarse) return Exact();
            var coarse = Environment.TickCount64;
            var now = Exact();
            if (coarse >= Volatile.Read(ref _anchoredUntil) && Environment.TickCount64 - coarse <= MostApart)
            {
                Volatile.Write(ref _shift, now - (coarse * TimeSpan.TicksPerMillisecond) - (Spread / 2));
                Volatile.Write(ref _anchoredUntil, coarse + AnchorHolds);
            }
            return now;
        }
    }

    /// <summary>Says cheaply that the time is at least <paramref name="earliest"/> and at most <see cref="Spread"/> later; false when it cannot.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool TryBracket(out long earliest)
    {
        earliest = 0;
        if (!_hasCoarse) return false;
        var coarse = Environment.TickCount64;
        earliest = (coarse * TimeSpan.TicksPerMillisecond) + Volatile.Read(ref _shift);
        return coarse < Volatile.Read(ref _anchoredUntil);
    }

    private long Exact() => (long)((_time.GetTimestamp() - _origin) * _ticksPerTimestamp);
}
