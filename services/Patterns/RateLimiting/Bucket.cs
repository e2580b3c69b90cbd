using System.Runtime.CompilerServices;

namespace DistributedPatterns.RateLimiting;

/// <summary>The arithmetic of GCRA on one number: the time at which all that was admitted will have been earned.</summary>
/// <remarks>
/// The generic cell rate algorithm (ITU-T I.371), as redis-cell and others use it. Time is measured in units of which each
/// tick, or each <paramref name="step"/> of ticks, earns <paramref name="gain"/>, and a permit costs
/// <paramref name="permitCost"/>; so one compare-and-swap on one <see langword="long"/> is a decision. With a step of one tick
/// it is GCRA; with a step of a period it is a token bucket that is refilled once a period.
/// </remarks>
/// <param name="clock">Where the time comes from.</param>
/// <param name="step">Ticks of time that count as one.</param>
/// <param name="gain">Units earned a step.</param>
/// <param name="permitCost">Units that a permit costs.</param>
/// <param name="burst">Permits that can be had at once.</param>
internal sealed class Bucket(LimiterClock clock, long step, long gain, long permitCost, int burst)
{
    /// <summary>The state of a bucket that must not be used again.</summary>
    public const long Retired = long.MinValue;

    private const long MostGain = 1024; // ten years in ticks times this fit into a long

    private readonly long _burstUnits = burst * permitCost;

    public int Burst => burst;

    public LimiterClock Clock => clock;

    /// <summary>Makes GCRA: permits are earned evenly.</summary>
    /// <remarks>The rate is exact if permits / period in ticks reduces to a numerator of up to 1,024, else it is less, by under 0.1 %.</remarks>
    public static Bucket Even(LimiterClock clock, int permits, TimeSpan period, int burst)
    {
        var gain = Math.Min(permits / Gcd(permits, period.Ticks), MostGain);
        var cost = (long)(((Int128)period.Ticks * gain + permits - 1) / permits);
        return new Bucket(clock, 1, gain, cost, burst);
    }

    /// <summary>Makes a token bucket: permits are earned all at once at the end of each period.</summary>
    public static Bucket Stepped(LimiterClock clock, int permits, TimeSpan period, int burst) => new(clock, period.Ticks, permits, 1, burst);

    /// <summary>Takes permits, at most <see cref="Burst"/>. Lock-free: of those who try at the same time at least one gets on.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool TryTake(ref long paidAt, int permits)
    {
        if (permits > 0 && clock.TryBracket(out var earliest))
        {
            var (low, high, cost) = (Units(earliest), Units(earliest + LimiterClock.Spread), permits * permitCost);
            var seen = Volatile.Read(ref paidAt);
            // Paid at a time that is certainly to come: then the exact time would make no other sum.
            while (seen >= high && seen + cost <= low + _burstUnits)
            {
                var found = Interlocked.CompareExchange(ref paidAt, seen + cost, seen);
                if (found == seen) return true;
                seen = found;
            }
            if (seen > high + _burstUnits - cost) return false;
        }
        return TryTakeExactly(ref paidAt, permits);
    }

    /// <summary>Gets how long until so many permits can be had, after <paramref name="ahead"/> others; zero when they can now.</summary>
    public TimeSpan Until(ref long paidAt, long permits, long ahead)
    {
        var now = clock.Now;
        var units = Units(now);
        // Those ahead are served as their permits come, so what counts is the sum, even where it is more than a burst.
        var missing = Math.Max(Volatile.Read(ref paidAt), units) + ((ahead + Math.Max(1, permits)) * permitCost) - _burstUnits - units;
        return missing <= 0 ? TimeSpan.Zero : TimeSpan.FromTicks(TimeOf(units + missing) - now);
    }

    /// <summary>Gets how many permits could be had now.</summary>
    public long Available(ref long paidAt)
    {
        var units = Units(clock.Now);
        return Math.Max(0, (units + _burstUnits - Math.Max(Volatile.Read(ref paidAt), units)) / permitCost);
    }

    /// <summary>Gets how long until the bucket is full; negative by how long it has been.</summary>
    public TimeSpan UntilFull(ref long paidAt) => TimeSpan.FromTicks(TimeOf(Volatile.Read(ref paidAt)) - clock.Now);

    /// <summary>Forbids a full bucket to be used, so that it can be forgotten: nobody can tell a full one from a new one.</summary>
    public bool TryRetire(ref long paidAt)
    {
        var seen = Volatile.Read(ref paidAt);
        return seen == Retired || (seen <= Units(clock.Now) && Interlocked.CompareExchange(ref paidAt, Retired, seen) == seen);
    }

    private bool TryTakeExactly(ref long paidAt, int permits)
    {
        while (true)
        {
            var units = Units(clock.Now);
            var seen = Volatile.Read(ref paidAt);
            if (seen == Retired) return false;
            var owed = Math.Max(seen, units);
            if (permits == 0) return owed + permitCost <= units + _burstUnits;
            var next = owed + (permits * permitCost);
            if (next > units + _burstUnits) return false;
            if (Interlocked.CompareExchange(ref paidAt, next, seen) == seen) return true;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private long Units(long ticks) => step == 1 ? ticks * gain : Math.Max(0, ticks) / step * gain;

    private long TimeOf(long units) => (units + gain - 1) / gain * step;

    private static long Gcd(long a, long b) => b == 0 ? a : Gcd(b, a % b);
}
