namespace DistributedPatterns.FanOutFanIn.Engine;

/// <summary>What a worker elsewhere has of a slice: all of it, or what another worker did not answer.</summary>
internal sealed class Batch<TIn, TOut>
{
    private HashSet<int>? _passedOn;

    /// <summary>Makes a batch of all of a slice that nobody has begun.</summary>
    public Batch(Slice<TIn, TOut> slice) : this(slice, [(0, slice.Count)], 1) => slice.ClaimAll();

    private Batch(Slice<TIn, TOut> slice, IReadOnlyList<(int First, int Count)> ranges, int attempt)
    {
        (Slice, Ranges, Attempt) = (slice, ranges, attempt);
        Left = ranges.Sum(range => range.Count);
    }

    public Slice<TIn, TOut> Slice { get; }

    /// <summary>Gets where in the slice its items are.</summary>
    public IReadOnlyList<(int First, int Count)> Ranges { get; }

    /// <summary>Gets which attempt at these items it is.</summary>
    public int Attempt { get; }

    /// <summary>Gets or sets how many of its items are neither answered nor passed on.</summary>
    public int Left { get; set; }

    /// <summary>Makes a batch of items that the worker has not begun: no attempt at them.</summary>
    public Batch<TIn, TOut> PassOn(int first, int count)
    {
        _passedOn ??= [];
        for (var offset = first; offset < first + count; offset++) _passedOn.Add(offset);
        Left -= count;
        return new Batch<TIn, TOut>(Slice, [(first, count)], Attempt);
    }

    /// <summary>Makes a batch of what is left when the worker is lost: the next attempt at it.</summary>
    public Batch<TIn, TOut> Rest()
    {
        var rest = new List<(int First, int Count)>();
        foreach (var (first, count) in Ranges)
        {
            for (var offset = first; offset < first + count; offset++)
            {
                if (Slice.IsAnswered(offset) || _passedOn?.Contains(offset) == true) continue;
                if (rest.Count > 0 && rest[^1] is var (from, length) && from + length == offset) rest[^1] = (from, length + 1);
                else rest.Add((offset, 1));
            }
        }
        return new Batch<TIn, TOut>(Slice, rest, Attempt + 1);
    }
}
