namespace DistributedPatterns.Pipeline.Engine;

/// <summary>Chooses how many items a stage takes before it hands results on: as many as it handles in a tenth of a millisecond.</summary>
/// <remarks>Cheap stages take whole chunks, expensive ones single items, so no result waits long for its neighbours and parallel loops share evenly.</remarks>
internal struct SliceSizer
{
    private static readonly long s_targetTicks = TimeSpan.FromMicroseconds(100).Ticks;

    private int _size;

    public readonly int Next(int available) => Math.Min(Math.Max(1, _size), available);

    public void Observe(int count, TimeSpan took)
    {
        var ticksPerItem = Math.Max(1, took.Ticks / count);
        _size = (int)Math.Min(s_targetTicks / ticksPerItem, int.MaxValue);
    }
}
