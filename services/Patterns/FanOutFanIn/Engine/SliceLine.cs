namespace DistributedPatterns.FanOutFanIn.Engine;

/// <summary>The slices between intake and caller, in the order of the inputs: workers take new ones at the end, the caller reads their answers in place.</summary>
/// <remarks>One lock guards it; a worker takes it once a slice, the caller once a batch of answers, nobody for an item.</remarks>
internal sealed class SliceLine<TIn, TOut>(Intake<TIn> intake, GatherOrder order, int capacity) : ILineGate
{
    private readonly LinkedList<Slice<TIn, TOut>> _open = new();
    private readonly Queue<Batch<TIn, TOut>> _returned = [];
    private readonly Pulse _news = new();
    private Slice<TIn, TOut>? _read; // what the caller has in hand, and how many answers of it
    private int _readCount;
    private long _gathered;
    private int _unfinished;
    private int _workers = 1;
    private bool _hasStopped;
    private bool _hasSettled;

    public Lock Sync { get; } = new();

    public Pulse Work { get; } = new();

    public GatherOrder Order => order;

    public long Asked
    {
        get
        {
            lock (Sync) return intake.Asked;
        }
    }

    private long Room => capacity - (intake.Read - _gathered);

    /// <summary>Says among how many workers the rest of a list should be shared.</summary>
    public void ShareAmong(int workers) => Volatile.Write(ref _workers, workers);

    /// <summary>Reads the source, if it is one that has to be read.</summary>
    public Task PumpAsync(CancellationToken cancellationToken) => intake.PumpAsync(this, cancellationToken);

    /// <summary>Takes a slice to run here: new inputs, or half of what another worker holds and has not begun.</summary>
    /// <param name="wanted">At most so many items.</param>
    /// <returns><see langword="null"/> when there is nothing left to begin.</returns>
    public async ValueTask<Slice<TIn, TOut>?> TakeAsync(int wanted)
    {
        while (true)
        {
            Task more;
            lock (Sync)
            {
                if (_hasStopped) return null;
                if ((TryTakeNew(wanted) ?? TryTakeHalf()) is { } slice) return slice;
                if (intake.HasEnded) return null;
                more = Work.NextAsync();
            }
            await more.ConfigureAwait(false);
        }
    }

    /// <summary>Takes a batch to send elsewhere: what was given back, else new inputs.</summary>
    /// <param name="wanted">At most so many items, if they are new.</param>
    /// <param name="cancellationToken">Ends the waiting.</param>
    /// <returns><see langword="null"/> when everything is answered: until then something may be given back.</returns>
    public async ValueTask<Batch<TIn, TOut>?> TakeBatchAsync(int wanted, CancellationToken cancellationToken)
    {
        while (true)
        {
            Task more;
            lock (Sync)
            {
                if (_hasStopped) return null;
                if (_returned.TryDequeue(out var returned)) return returned;
                if (TryTakeNew(wanted) is { } slice) return new Batch<TIn, TOut>(slice);
                if (intake.HasEnded && _unfinished == 0) return null;
                more = Work.NextAsync();
            }
            await more.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Waits until everything is answered, or nobody may begin anything any more.</summary>
    public async Task WhenDoneAsync()
    {
        while (true)
        {
            Task more;
            lock (Sync)
            {
                if (_hasStopped || (intake.HasEnded && _unfinished == 0)) return;
                more = Work.NextAsync();
            }
            await more.ConfigureAwait(false);
        }
    }

    /// <summary>Tells that every item of a slice is answered, or will not be.</summary>
    public void Finish(Slice<TIn, TOut> slice)
    {
        lock (Sync)
        {
            if (slice.Count > 0) intake.Release(slice.First); // what was cut off to its first item is another slice's to release
            _unfinished--;
            if (intake.HasLanes || _unfinished == 0) Work.Set();
            _news.Set();
        }
    }

    /// <summary>Gives back what a worker will not answer, for another one to take.</summary>
    public void Return(Batch<TIn, TOut> batch)
    {
        lock (Sync)
        {
            _returned.Enqueue(batch);
            Work.Set();
        }
    }

    /// <summary>Gives up what nobody has begun, for others to run: it is no longer this line's to answer.</summary>
    public IReadOnlyList<MissingInputs> GiveUp()
    {
        lock (Sync)
        {
            var given = new List<MissingInputs>();
            foreach (var slice in _open)
                if (slice.Cut(1) is { } rest) given.Add(new MissingInputs(rest.First, rest.Count));
            while (intake.TryTake(int.MaxValue, long.MaxValue, out var stretch)) given.Add(new MissingInputs(stretch.First, stretch.Count));
            _gathered += given.Sum(stretch => stretch.Count);
            return MissingInputs.Join(given);
        }
    }

    /// <summary>Tells that there are answers to read.</summary>
    public void Announce()
    {
        lock (Sync) _news.Set();
    }

    /// <summary>Lets nobody begin anything any more.</summary>
    public void Stop()
    {
        lock (Sync)
        {
            _hasStopped = true;
            for (var node = _open.First; node is not null; node = node.Next)
                if (node.Value.Cut(1) is { } rest) node = _open.AddAfter(node, rest); // stays in the line, to be named as missing
            Work.Set();
            _news.Set();
        }
    }

    /// <summary>Reads the next answers, those of a slice from <see cref="Slice{TIn, TOut}.Gathered"/> on; what was read before is given back.</summary>
    /// <param name="count">How many there are.</param>
    /// <param name="news">Completes when it is worth asking again; <see langword="null"/> when everything is read, or nothing more will come.</param>
    public Slice<TIn, TOut>? Read(out int count, out Task? news)
    {
        lock (Sync)
        {
            GiveBack();
            news = null;
            count = 0;
            for (LinkedListNode<Slice<TIn, TOut>>? node = _open.First, after; node is not null; node = after)
            {
                var slice = node.Value;
                after = node.Next;
                if (slice.Gathered == slice.Count)
                {
                    Remove(slice);
                    continue;
                }
                var isNext = _hasSettled || order == GatherOrder.AsCompleted || slice.First + slice.Gathered == _gathered;
                if (!isNext) break;
                count = slice.Published - slice.Gathered;
                if (count == 0) continue;
                _readCount = count;
                return _read = slice;
            }
            count = 0;
            if (_hasSettled || (intake.HasEnded && _open.Count == 0)) return null;
            news = _hasStopped ? Task.CompletedTask : _news.NextAsync(); // who is stopped has to look why
            return null;
        }
    }

    public void EndOfInputs()
    {
        Work.Set();
        _news.Set();
    }

    public async ValueTask<long> WaitForRoomAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            Task more;
            lock (Sync)
            {
                if (Room > 0) return Room;
                more = Work.NextAsync();
            }
            await more.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>After the end of the work: answers no longer wait for one before them that will not come.</summary>
    public void Settle()
    {
        lock (Sync) _hasSettled = true;
    }

    /// <summary>The same within the slices; only when nobody writes to them any more.</summary>
    public void PublishRest()
    {
        lock (Sync)
            foreach (var slice in _open) slice.PublishRest(order);
    }

    /// <summary>Lists what has no answer, in order.</summary>
    /// <param name="except">An item that failed without being answered; it is no missing one.</param>
    public IReadOnlyList<MissingInputs> FindMissing(long? except)
    {
        lock (Sync)
        {
            var missing = intake.Untaken().ToList();
            foreach (var slice in _open)
            {
                for (var offset = 0; offset < slice.Count; offset++)
                    if (!slice.IsAnswered(offset)) missing.Add(new MissingInputs(slice.First + offset, 1));
            }
            return MissingInputs.Join(except is { } failed ? [.. missing.SelectMany(stretch => stretch.Without(failed))] : missing);
        }
    }

    private Slice<TIn, TOut>? TryTakeNew(int wanted)
    {
        var left = intake.Asked - intake.Read;
        if (left > 0) wanted = (int)Math.Min(wanted, Math.Max(1, left / Volatile.Read(ref _workers)));
        return intake.TryTake(wanted, Room, out var stretch) ? Insert(new Slice<TIn, TOut>(stretch)) : null;
    }

    // Half, so that two who come by share what is left.
    private Slice<TIn, TOut>? TryTakeHalf()
    {
        for (var node = _open.First; node is not null; node = node.Next)
            if (node.Value.Cut(2) is { } rest) return Insert(rest);
        return null;
    }

    private Slice<TIn, TOut> Insert(Slice<TIn, TOut> slice)
    {
        var before = _open.Last;
        while (before is not null && before.Value.First > slice.First) before = before.Previous;
        slice.Place = before is null ? _open.AddFirst(slice) : _open.AddAfter(before, slice);
        _unfinished++;
        return slice;
    }

    private void GiveBack()
    {
        if (_read is not { } slice) return;
        var wasFull = Room <= 0;
        slice.Gathered += _readCount;
        _gathered += _readCount;
        _read = null;
        if (wasFull) Work.Set();
    }

    private void Remove(Slice<TIn, TOut> slice)
    {
        _open.Remove(slice.Place!);
        slice.Recycle();
    }
}
