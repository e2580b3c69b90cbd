namespace DistributedPatterns.FanOutFanIn.Engine;

/// <summary>Where the line of slices gets its inputs from. Called under the line's lock, except for <see cref="PumpAsync"/>.</summary>
internal abstract class Intake<TIn>
{
    /// <summary>Gets how many inputs were read from the caller.</summary>
    public abstract long Read { get; }

    /// <summary>Gets how many inputs there are: all of a list, of a sequence what was read.</summary>
    public virtual long Asked => Read;

    /// <summary>Gets whether nothing will ever be taken again.</summary>
    public abstract bool HasEnded { get; }

    /// <summary>Gets whether items that follow each other in the line may have to wait for each other.</summary>
    public virtual bool HasLanes => false;

    /// <summary>Takes inputs that follow each other.</summary>
    /// <param name="wanted">At most so many.</param>
    /// <param name="room">How many more may be read; an intake that is pumped has asked before it read.</param>
    public abstract bool TryTake(int wanted, long room, out Stretch<TIn> stretch);

    /// <summary>Lists what is there, or known to come, and was not taken.</summary>
    public abstract IEnumerable<MissingInputs> Untaken();

    /// <summary>Tells that an item is answered.</summary>
    public virtual void Release(long index)
    {
    }

    /// <summary>Reads what does not come by itself, until it ends.</summary>
    public virtual Task PumpAsync(ILineGate gate, CancellationToken cancellationToken) => Task.CompletedTask;
}

/// <summary>What an intake sees of the line that it feeds.</summary>
internal interface ILineGate
{
    /// <summary>Gets the lock that guards line and intake.</summary>
    Lock Sync { get; }

    /// <summary>Gets what wakes those who wait for work; under <see cref="Sync"/>.</summary>
    Pulse Work { get; }

    /// <summary>Tells that nothing more comes; under <see cref="Sync"/>.</summary>
    void EndOfInputs();

    /// <summary>Waits until something may be read.</summary>
    /// <returns>How much.</returns>
    ValueTask<long> WaitForRoomAsync(CancellationToken cancellationToken);
}

/// <summary>Inputs that follow each other.</summary>
internal readonly record struct Stretch<TIn>(TIn[] Items, int Offset, int Count, long First, long ReadAt);

/// <summary>A list: every input is there, and no array of its own is made for an array's.</summary>
internal sealed class ListIntake<TIn>(IReadOnlyList<TIn> inputs, TimeProvider time, long first = 0) : Intake<TIn>
{
    private readonly long _since = time.GetTimestamp();
    private int _next;

    public override long Read => _next;

    public override long Asked => inputs.Count;

    public override bool HasEnded => _next == inputs.Count;

    public override bool TryTake(int wanted, long room, out Stretch<TIn> stretch)
    {
        var count = (int)Math.Min(Math.Min(wanted, room), inputs.Count - _next);
        stretch = default;
        if (count <= 0) return false;
        stretch = inputs is TIn[] array
            ? new Stretch<TIn>(array, _next, count, first + _next, _since)
            : new Stretch<TIn>(Copy(count), 0, count, first + _next, _since);
        _next += count;
        return true;
    }

    public override IEnumerable<MissingInputs> Untaken() => [new(first + _next, inputs.Count - _next)];

    private TIn[] Copy(int count)
    {
        var items = new TIn[count];
        if (inputs is List<TIn> list) list.CopyTo(_next, items, 0, count);
        else for (var i = 0; i < count; i++) items[i] = inputs[_next + i];
        return items;
    }
}

/// <summary>A sequence: read ahead while it has items ready, as far as there is room; one that has to wait hands over what it has.</summary>
internal sealed class SequenceIntake<TIn>(IAsyncEnumerable<TIn> inputs, TimeProvider time) : Intake<TIn>
{
    private const int MostAtOnce = 256;

    private readonly Queue<Stretch<TIn>> _ready = [];
    private long _read;
    private bool _hasEnded;

    public override long Read => Volatile.Read(ref _read);

    public override bool HasEnded => _hasEnded && _ready.Count == 0;

    public override bool TryTake(int wanted, long room, out Stretch<TIn> stretch)
    {
        if (!_ready.TryPeek(out var first))
        {
            stretch = default;
            return false;
        }
        stretch = first with { Count = Math.Min(wanted, first.Count) };
        _ready.Dequeue();
        if (stretch.Count == first.Count) return true;
        // What is left stays in front; there are at most a few stretches, so turning the queue round is cheap.
        var others = _ready.Count;
        _ready.Enqueue(first with { Offset = first.Offset + stretch.Count, Count = first.Count - stretch.Count, First = first.First + stretch.Count });
        for (var i = 0; i < others; i++) _ready.Enqueue(_ready.Dequeue());
        return true;
    }

    public override IEnumerable<MissingInputs> Untaken() => _ready.Select(stretch => new MissingInputs(stretch.First, stretch.Count));

    public override async Task PumpAsync(ILineGate gate, CancellationToken cancellationToken)
    {
        var source = inputs.GetAsyncEnumerator(cancellationToken);
        var items = new TIn[MostAtOnce];
        Task<bool>? awaited = null;
        try
        {
            for (var more = true; more;)
            {
                var room = await gate.WaitForRoomAsync(cancellationToken).ConfigureAwait(false);
                more = await (awaited ?? source.MoveNextAsync().AsTask()).ConfigureAwait(false);
                awaited = null;
                if (!more) break;
                var count = 0;
                items[count++] = source.Current;
                while (count < items.Length && count < room)
                {
                    var next = source.MoveNextAsync();
                    if (!next.IsCompletedSuccessfully)
                    {
                        awaited = next.AsTask(); // nobody knows when: what is there goes on
                        break;
                    }
                    more = next.Result;
                    if (!more) break;
                    items[count++] = source.Current;
                }
                Add(items[..count], gate);
            }
        }
        finally
        {
            // An enumerator must not be disposed while it moves. It was told to stop, and what it says now matters no more.
            if (awaited is not null) await ((Task)awaited).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            await source.DisposeAsync().ConfigureAwait(false);
            lock (gate.Sync)
            {
                _hasEnded = true;
                gate.EndOfInputs();
            }
        }
    }

    private void Add(TIn[] items, ILineGate gate)
    {
        var now = time.GetTimestamp();
        lock (gate.Sync)
        {
            _ready.Enqueue(new Stretch<TIn>(items, 0, items.Length, _read, now));
            Volatile.Write(ref _read, _read + items.Length);
            gate.Work.Set();
        }
    }
}
