namespace DistributedPatterns.FanOutFanIn.Engine;

/// <summary>What was sent on one stream and is not answered: the worker knows items by the order in which they were sent.</summary>
internal sealed class SentItems<TIn, TOut>
{
    private readonly Lock _lock = new();
    private readonly List<Segment> _segments = [];
    private readonly List<Batch<TIn, TOut>> _batches = [];
    private readonly Pulse _fewer = new();
    private Segment _last; // most answers are in the segment of the one before; one reader at a time
    private long _next;

    /// <summary>Items of a batch that follow each other, from <paramref name="Number"/> on.</summary>
    public readonly record struct Segment(long Number, Batch<TIn, TOut> Batch, int Offset, int Count)
    {
        public int OffsetOf(long number) => Offset + (int)(number - Number);
    }

    /// <summary>Gets the batches that are not answered to the end.</summary>
    public IReadOnlyList<Batch<TIn, TOut>> Batches
    {
        get
        {
            lock (_lock) return [.. _batches];
        }
    }

    /// <summary>Gets how many items are not answered.</summary>
    public int Left
    {
        get
        {
            lock (_lock) return _batches.Sum(batch => batch.Left);
        }
    }

    public void Open(Batch<TIn, TOut> batch)
    {
        lock (_lock) _batches.Add(batch);
    }

    /// <summary>Notes items that are sent next.</summary>
    public void Add(Batch<TIn, TOut> batch, int offset, int count)
    {
        lock (_lock)
        {
            _segments.Add(new Segment(_next, batch, offset, count));
            _next += count;
        }
    }

    /// <summary>Finds the segment of an item by its number on the stream.</summary>
    /// <exception cref="FormatException">Nothing of that number is unanswered.</exception>
    public Segment Find(long number)
    {
        if (number >= _last.Number && number < _last.Number + _last.Count) return _last;
        lock (_lock) _last = _segments.Find(segment => segment.Number <= number && number < segment.Number + segment.Count);
        return _last.Count > 0 ? _last : throw new FormatException($"An answer came to item {number} of the stream, which is not asked for.");
    }

    /// <summary>Forgets a batch of which nothing is left.</summary>
    public void Close(Batch<TIn, TOut> batch)
    {
        lock (_lock)
        {
            _batches.Remove(batch);
            _segments.RemoveAll(segment => segment.Batch == batch);
            if (_last.Batch == batch) _last = default;
            _fewer.Set();
        }
    }

    /// <summary>Waits until fewer batches are under way than the window allows.</summary>
    public async ValueTask WaitForFewerAsync(Func<int> window, CancellationToken cancellationToken)
    {
        while (true)
        {
            Task fewer;
            lock (_lock)
            {
                if (_batches.Count < window()) return;
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
