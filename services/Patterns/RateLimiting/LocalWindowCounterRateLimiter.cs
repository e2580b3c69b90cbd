namespace DistributedPatterns.RateLimiting;

/// <summary>Counts two windows side by side and weighs the last one by how much of it the sliding window still covers. O(1), approximate.</summary>
/// <remarks>
/// As Cloudflare counts. It takes the last window's permits for evenly spread: in any time t at most
/// permits × (t / window, rounded down, + 2) are admitted, and near permits × (t / window + 1) where callers are many.
/// <see cref="LocalWindowLogRateLimiter"/> is exact. Both counts and the window's number lie in one <see langword="long"/>.
/// </remarks>
public sealed class LocalWindowCounterRateLimiter : LocalRateLimiter
{
    private const int CountBits = 20; // WindowOptions.Permits stays below 2^20
    private const long CountMask = (1L << CountBits) - 1;
    private const long IndexMask = (1L << (62 - (2 * CountBits))) - 1; // wraps after 4 million windows of rest; then two windows at most count too much

    private readonly LimiterClock _clock;
    private readonly long _window;
    private long _packed; // window's number, its count, the count of the one before

    /// <summary>Makes a limiter whose windows start now.</summary>
    /// <exception cref="ArgumentException">An option is out of its range.</exception>
    public LocalWindowCounterRateLimiter(WindowOptions options, TimeProvider? time = null) : base(OptionsGuard.Checked(options).QueueLimit, time ?? TimeProvider.System)
    {
        _clock = new LimiterClock(time ?? TimeProvider.System);
        (Burst, _window) = (options.Permits, options.Window.Ticks);
    }

    /// <inheritdoc/>
    public override int Burst { get; }

    private protected override long Available => Math.Max(0, ((Burst * _window) - Look().Used(_window)) / _window);

    private protected override bool TryTake(int permits)
    {
        while (true)
        {
            var seen = Volatile.Read(ref _packed);
            var view = Look(seen);
            if (view.Used(_window) + (Math.Max(1, permits) * _window) > Burst * _window) return false;
            if (permits == 0) return true;
            var next = ((view.Index & IndexMask) << (2 * CountBits)) | ((view.Current + permits) << CountBits) | view.Last;
            if (Interlocked.CompareExchange(ref _packed, next, seen) == seen) return true;
        }
    }

    private protected override TimeSpan? UntilAvailable(int permits, long ahead)
    {
        var view = Look();
        var cost = Math.Min(Burst, Math.Max(1, permits) + ahead); // who has more ahead than a window holds learns a lower bound
        var over = view.Used(_window) + ((cost - Burst) * _window);
        if (over <= 0) return TimeSpan.Zero;
        // Either the last window's share has to fade, or this window alone is over and fades in the next.
        return TimeSpan.FromTicks(view.Current + cost <= Burst
            ? RoundUp(over, view.Last)
            : _window - view.Into + RoundUp((view.Current + cost - Burst) * _window, view.Current));
    }

    private protected override TimeSpan? UntilFull()
    {
        var view = Look();
        if (view.Current == 0 && view.Last == 0) return TimeSpan.FromTicks(-view.IdleFor(_window));
        return TimeSpan.FromTicks((_window * (view.Current > 0 ? 2 : 1)) - view.Into);
    }

    private View Look() => Look(Volatile.Read(ref _packed));

    private View Look(long packed)
    {
        var now = _clock.Now;
        var (index, stored) = (now / _window, packed >> (2 * CountBits));
        var (current, last) = ((packed >> CountBits) & CountMask, packed & CountMask);
        var behind = (index - stored) & IndexMask;
        return behind switch
        {
            0 => new View(index, now - (index * _window), current, last, 0, packed),
            1 => new View(index, now - (index * _window), 0, current, 0, packed),
            IndexMask => new View(index + 1, 0, current, last, 0, packed), // another thread read a later time
            _ => new View(index, now - (index * _window), 0, 0, behind, packed),
        };
    }

    private static long RoundUp(long value, long by) => (value + by - 1) / by;

    /// <summary>The counts as they are now.</summary>
    private readonly record struct View(long Index, long Into, long Current, long Last, long Behind, long Packed)
    {
        public long Used(long window) => (Current * window) + (Last * (window - Into));

        // The counts that lie stored ceased to matter one or two windows after theirs.
        public long IdleFor(long window) =>
            (Packed & ((1L << (2 * CountBits)) - 1)) == 0 ? (Index * window) + Into
            : ((Behind - (((Packed >> CountBits) & CountMask) > 0 ? 2 : 1)) * window) + Into;
    }
}
