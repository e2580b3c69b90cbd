namespace DistributedPatterns.FanOutFanIn.Engine;

/// <summary>What was sent on one stream and is not answered: items are known there by the order in which they were sent.</summary>
internal sealed class SentItems<TIn, TOut>
{
    private readonly Lock _lock = new();
    private readonly List<Segment> _segments = [];
    private readonly List<Slice<TIn, TOut>> _slices = [];
    private readonly Pulse _fewer = new();
    private Segment _last; // most answers are in the segment of the one before; one reader only
    private long _next;

    private readonly record struct Segment(long Number, Slice<TIn, TOut> Slice, int Offset, int Count);

    /// <summary>Gets the slices that are not answered to the end.</summary>
    public IReadOnlyList<Slice<TIn, TOut>> Slices
    {
        get
        {
            lock (_lock) return [.. _slices];
        }
    }

    /// <summary>Takes a slice on.</summary>
    /// <returns>Where its unanswered items are; it may come from a worker that was lost.</returns>
    public List<(int First, int Count)> Open(Slice<TIn, TOut> slice)
    {
        lock (_lock) _slices.Add(slice);
        var unanswered = new List<(int First, int Count)>();
        for (var offset = 0; offset < slice.Count; offset++)
        {
            if (slice.IsAnswered(offset)) continue;
            if (unanswered.Count > 0 && unanswered[^1] is var (first, count) && first + count == offset) unanswered[^1] = (first, count + 1);
            else unanswered.Add((offset, 1));
        }
        return unanswered;
    }

    /// <summary>Notes items that are sent next.</summary>
    public void Add(Slice<TIn, TOut> slice, int offset, int count)
    {
        lock (_lock)
        {
            _segments.Add(new Segment(_next, slice, offset, count));
            _next += count;
        }
    }

    /// <summary>Finds an item by its number on the stream.</summary>
    /// <exception cref="FormatException">Nothing of that number is unanswered.</exception>
    public (Slice<TIn, TOut> Slice, int Offset) Find(long number)
    {
        if (number < _last.Number || number >= _last.Number + _last.Count)
        {
            lock (_lock)
            {
                _last = _segments.Find(segment => segment.Number <= number && number < segment.Number + segment.Count);
                if (_last.Count == 0) throw new FormatException($"An answer came to item {number} of the stream, which is not asked for.");
            }
        }
        return (_last.Slice, _last.Offset + (int)(number - _last.Number));
    }

    /// <summary>Forgets a slice that is answered.</summary>
    public bool Close(Slice<TIn, TOut> slice)
    {
        lock (_lock)
        {
            if (!_slices.Remove(slice)) return false;
            _segments.RemoveAll(segment => segment.Slice == slice);
            if (_last.Slice == slice) _last = default;
            _fewer.Set();
            return true;
        }
    }

    /// <summary>Waits until fewer slices are under way than the window allows.</summary>
    public async ValueTask WaitForFewerAsync(Func<int> window, CancellationToken cancellationToken)
    {
        while (true)
        {
            Task fewer;
            lock (_lock)
            {
                if (_slices.Count < window()) return;
                fewer = _fewer.NextAsync();
            }
            await fewer.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Tells that the window has changed.</summary>
    public void Wake()
    {
        lock (_lock) _fewer.Set();
    }
}
