namespace DistributedPatterns.Deadlines;

/// <summary>A moment until which work may take, shared by all its parts and attempts. Measured on monotonic time: a clock that is set does not move it.</summary>
/// <remarks>
/// A limit for each part ("5 seconds a call") adds up with every call and retry; one moment for all does not. It belongs to
/// this process: what travels is <see cref="Remaining"/>, never a time of day.
/// </remarks>
public readonly struct Deadline : IEquatable<Deadline>
{
    private readonly TimeProvider? _time;

    private Deadline(TimeProvider time, long due, TimeSpan budget) => (_time, Due, Budget) = (time, due, budget);

    /// <summary>Gets the deadline that never passes.</summary>
    public static Deadline None => default;

    /// <summary>Gets whether this is <see cref="None"/>.</summary>
    public bool IsNone => _time is null;

    /// <summary>Gets how much time there was at the beginning; <see cref="TimeSpan.MaxValue"/> for <see cref="None"/>.</summary>
    public TimeSpan Budget => IsNone ? TimeSpan.MaxValue : field;

    /// <summary>Gets how much of it is left: zero once it has passed, <see cref="TimeSpan.MaxValue"/> for <see cref="None"/>.</summary>
    public TimeSpan Remaining =>
        _time is null ? TimeSpan.MaxValue
        : _time.GetTimestamp() is var now && now < Due ? _time.GetElapsedTime(now, Due)
        : TimeSpan.Zero;

    /// <summary>Gets how long ago it passed: zero until then.</summary>
    public TimeSpan Overrun => _time is not null && _time.GetTimestamp() is var now && now > Due ? _time.GetElapsedTime(Due, now) : TimeSpan.Zero;

    public bool HasPassed => _time is not null && _time.GetTimestamp() >= Due;

    /// <summary>Gets the moment as a timestamp of the clock.</summary>
    internal long Due => IsNone ? long.MaxValue : field;

    /// <summary>Returns the moment that is a time from now. A time of zero or less is a deadline that has passed.</summary>
    public static Deadline After(TimeSpan budget, TimeProvider time)
    {
        ArgumentNullException.ThrowIfNull(time);
        var ticks = budget.Ticks * ((double)time.TimestampFrequency / TimeSpan.TicksPerSecond);
        var now = time.GetTimestamp();
        return ticks >= long.MaxValue / 2 ? None : new Deadline(time, now + (long)Math.Ceiling(Math.Max(ticks, 0)), budget);
    }

    /// <summary>Returns the earlier of the two: who is called can shorten a budget, never lengthen it.</summary>
    public Deadline OrEarlier(Deadline other) => other.Due < Due ? other : this;

    public bool Equals(Deadline other) => Due == other.Due && _time == other._time;

    public override bool Equals(object? obj) => obj is Deadline other && Equals(other);

    public override int GetHashCode() => Due.GetHashCode();

    public override string ToString() => IsNone ? "none" : $"{Remaining} of {Budget} left";

    public static bool operator ==(Deadline left, Deadline right) => left.Equals(right);

    public static bool operator !=(Deadline left, Deadline right) => !left.Equals(right);
}
