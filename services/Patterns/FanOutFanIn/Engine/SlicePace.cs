namespace DistributedPatterns.FanOutFanIn.Engine;

/// <summary>Chooses how many items a worker takes at a time: as many as it runs within a target time, from one item up.</summary>
/// <remarks>
/// It begins with one, for nothing is known yet, and grows step by step: small items go by the thousand, an item of seconds
/// alone, so that workers share evenly to the end.
/// </remarks>
internal sealed class SlicePace(TimeSpan target, int most)
{
    private const int GrowthAtMost = 8;

    private double _ticksEach;

    /// <summary>Gets how many to take next.</summary>
    public int Next { get; private set; } = 1;

    /// <summary>Gets how long that many take, as far as is known.</summary>
    public TimeSpan Takes => TimeSpan.FromTicks((long)(_ticksEach * Next));

    public void Observe(int count, TimeSpan took)
    {
        if (count == 0) return;
        var ticks = Math.Max(1, took.Ticks) / (double)count;
        _ticksEach = _ticksEach == 0 ? ticks : (_ticksEach + ticks) / 2; // one odd slice should not turn everything round
        Next = (int)Math.Clamp(target.Ticks / Math.Max(_ticksEach, 0.001), 1, Math.Min(most, Next * (long)GrowthAtMost));
    }
}
