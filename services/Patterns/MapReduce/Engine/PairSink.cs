namespace DistributedPatterns.MapReduce.Engine;

/// <summary>Takes pairs in the order of their keys' bytes; the values of a set ascend.</summary>
internal abstract class PairSink
{
    public abstract void Add(ReadOnlySpan<byte> key, long value);
}
