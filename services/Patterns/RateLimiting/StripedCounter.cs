using System.Runtime.CompilerServices;

namespace DistributedPatterns.RateLimiting;

/// <summary>An exact count that threads raise without getting in each other's way.</summary>
/// <remarks>Runtime threads have small numbers of their own, so the first 32 have a slot that nobody else writes.</remarks>
internal sealed class StripedCounter
{
    private const int Slots = 32;
    private const int LongsPerLine = 8; // a cache line each, or neighbours would slow each other down

    private readonly long[] _counts = new long[(Slots + 1) * LongsPerLine];

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Increment()
    {
        var thread = Environment.CurrentManagedThreadId;
        if (thread < Slots) _counts[thread * LongsPerLine]++;
        else Interlocked.Increment(ref _counts[Slots * LongsPerLine]);
    }

    public long Sum()
    {
        var sum = 0L;
        for (var slot = 0; slot <= Slots; slot++) sum += Volatile.Read(ref _counts[slot * LongsPerLine]);
        return sum;
    }
}
