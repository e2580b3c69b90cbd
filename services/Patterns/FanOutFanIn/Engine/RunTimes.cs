using System.Numerics;

namespace DistributedPatterns.FanOutFanIn.Engine;

/// <summary>How long things took, in buckets an eighth of their size wide: quantiles to some 6 % in little memory. Not thread safe.</summary>
internal sealed class RunTimes
{
    private const int SubBuckets = 8;
    private const int Exact = 2 * SubBuckets; // below, a bucket a tick

    private readonly int[] _counts = new int[Exact + ((63 - 4) * SubBuckets)];

    public int Count { get; private set; }

    public TimeSpan Slowest { get; private set; }

    public void Add(TimeSpan took)
    {
        _counts[BucketOf(Math.Max(0, took.Ticks))]++;
        Count++;
        if (took > Slowest) Slowest = took;
    }

    /// <summary>Lets what was seen until now weigh half.</summary>
    public void Fade()
    {
        Count = 0;
        foreach (ref var count in _counts.AsSpan()) Count += count /= 2;
    }

    /// <param name="quantile">From 0 to 1.</param>
    public TimeSpan Quantile(double quantile)
    {
        var left = Math.Max(1, (long)Math.Ceiling(quantile * Count));
        for (var bucket = 0; bucket < _counts.Length; bucket++)
        {
            left -= _counts[bucket];
            if (left <= 0) return TimeSpan.FromTicks(Math.Min(MiddleOf(bucket), Slowest.Ticks));
        }
        return TimeSpan.Zero;
    }

    private static int BucketOf(long ticks)
    {
        if (ticks < Exact) return (int)ticks;
        var exponent = BitOperations.Log2((ulong)ticks);
        return Exact + ((exponent - 4) * SubBuckets) + (int)((ticks >> (exponent - 3)) & (SubBuckets - 1));
    }

    private static long MiddleOf(int bucket)
    {
        if (bucket < Exact) return bucket;
        var (exponent, sub) = (((bucket - Exact) / SubBuckets) + 4, (bucket - Exact) % SubBuckets);
        var width = 1L << (exponent - 3);
        return ((SubBuckets + sub) * width) + (width / 2);
    }
}
