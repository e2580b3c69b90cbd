using System.Buffers;
using System.Runtime.CompilerServices;

namespace DistributedPatterns.Pipeline.Engine;

/// <summary>A run of items that travel together. Handing over a chunk costs what handing over one item costs.</summary>
/// <remarks>
/// Covers <see cref="Span"/> items of the source from <see cref="First"/> on. Stages may have removed some, so item i need
/// not be source item First + i; <see cref="NumberOf"/> knows. One owner at a time; the last one returns the array.
/// </remarks>
internal sealed class Chunk<T>
{
    private int[]? _offsets; // where in the span each item lies; null while item i lies at i

    private Chunk(long first, int span, int capacity)
    {
        First = first;
        Span = span;
        Items = ArrayPool<T>.Shared.Rent(capacity);
    }

    public long First { get; }

    public int Span { get; set; }

    /// <summary>Gets or sets how many items of the span were skipped or diverted.</summary>
    public int Removed { get; set; }

    public T[] Items { get; }

    public int Count { get; set; }

    public static Chunk<T> Rent(long first, int span, int capacity) => new(first, span, Math.Max(1, capacity));

    /// <summary>The place in the source, from 1, of item <paramref name="index"/>.</summary>
    public long NumberOf(int index) => First + OffsetOf(index) + 1;

    public bool IsWhole => _offsets is null;

    public int OffsetOf(int index) => _offsets is { } offsets ? offsets[index] : index;

    /// <summary>How many of <see cref="Removed"/> lie before item <paramref name="index"/>; the parts of a chunk share them without a rest.</summary>
    /// <remarks>Exact where an item is one item of the source. Of arrays it is an upper bound: their own lengths are not known here.</remarks>
    public int RemovedBefore(int index) => index == 0 ? 0 : index == Count ? Removed : Math.Min(Removed, OffsetOf(index) - index);

    /// <summary>Appends an item that lies at <paramref name="offset"/> in the span.</summary>
    public void Add(T item, int offset)
    {
        if (_offsets is null && offset != Count)
        {
            _offsets = new int[Items.Length];
            for (var i = 0; i < Count; i++) _offsets[i] = i;
        }
        if (_offsets is not null) _offsets[Count] = offset;
        Items[Count++] = item;
    }

    public void Return() => ArrayPool<T>.Shared.Return(Items, RuntimeHelpers.IsReferenceOrContainsReferences<T>());
}

/// <summary>A part of a chunk, as much as a stage takes at a time.</summary>
internal readonly record struct Slice<T>(Chunk<T> Chunk, int Start, int Count)
{
    public Slice(Chunk<T> chunk) : this(chunk, 0, chunk.Count)
    {
    }

    private bool IsLast => Start + Count == Chunk.Count;

    /// <summary>Where this part's share of the source begins, relative to the chunk.</summary>
    private int Offset => Start == 0 ? 0 : Chunk.OffsetOf(Start);

    /// <summary>Makes the chunk for this part's results: the same share of the source, room for every item.</summary>
    public Chunk<TOut> NewOutput<TOut>()
    {
        var end = IsLast ? Chunk.Span : Chunk.OffsetOf(Start + Count);
        var output = Chunk<TOut>.Rent(Chunk.First + Offset, end - Offset, Count);
        output.Removed = Removed;
        return output;
    }

    /// <summary>Gets how many items of this part's share of the source are missing from it.</summary>
    public int Removed => (IsLast ? Chunk.Removed : Chunk.RemovedBefore(Start + Count)) - Chunk.RemovedBefore(Start); // also of a chunk with nothing left in it

    /// <summary>Gets whether nothing was removed from the chunk: item i lies at i.</summary>
    public bool IsWhole => Chunk.IsWhole;

    public ReadOnlySpan<T> Items => Chunk.Items.AsSpan(Start, Count);

    public Slice<T> From(int index) => new(Chunk, Start + index, Count - index);

    public T ItemAt(int index) => Chunk.Items[Start + index];

    public long NumberOf(int index) => Chunk.NumberOf(Start + index);

    /// <summary>Where item <paramref name="index"/> lies in the span of <see cref="NewOutput"/>.</summary>
    public int OffsetOf(int index) => Chunk.OffsetOf(Start + index) - Offset;
}
