using System.Buffers;

namespace DistributedPatterns.FanOutFanIn.Engine;

/// <summary>A stretch of inputs that one worker takes as a whole, and the place of their answers, which can be read while it still runs.</summary>
/// <remarks>
/// Handing over slices instead of items is what makes small items cheap. So that no item waits behind a slow neighbour, what
/// the worker has not begun can be cut off at any time (<see cref="Cut"/>), and each answer is published at once.
/// </remarks>
internal sealed class Slice<TIn, TOut>
{
    private readonly Stretch<TIn> _inputs;
    private BranchResult<TOut>[]? _results; // rented with the first answer
    private long _claims; // the next item to begin in the lower half, the end in the upper one: both change in one step
    private int _published;
    private bool[]? _answered;

    public Slice(Stretch<TIn> inputs)
    {
        _inputs = inputs;
        _claims = Pack(0, inputs.Count);
    }

    public long First => _inputs.First;

    public long ReadAt => _inputs.ReadAt;

    /// <summary>Gets how many items it has; fewer after a cut.</summary>
    public int Count => (int)(Volatile.Read(ref _claims) >> 32);

    /// <summary>Gets or sets how many answers the caller has had.</summary>
    public int Gathered { get; set; }

    /// <summary>Gets how many of its items were answered from elsewhere (<see cref="Answer"/>).</summary>
    public int Answered { get; private set; }

    /// <summary>Gets how many answers can be read.</summary>
    public int Published => Volatile.Read(ref _published);

    /// <summary>Gets the answers, as many as are published.</summary>
    public BranchResult<TOut>[] Results => _results ?? [];

    /// <summary>Gets or sets its place in the line.</summary>
    public LinkedListNode<Slice<TIn, TOut>>? Place { get; set; }

    public ReadOnlyMemory<TIn> Inputs(int offset, int count) => _inputs.Items.AsMemory(_inputs.Offset + offset, count);

    public TIn Input(int offset) => _inputs.Items[_inputs.Offset + offset];

    /// <summary>Claims the next item for the worker that has the slice.</summary>
    public bool TryClaim(out int offset)
    {
        while (true)
        {
            var claims = Volatile.Read(ref _claims);
            offset = (int)claims;
            if (offset >= (int)(claims >> 32)) return false;
            if (Interlocked.CompareExchange(ref _claims, claims + 1, claims) == claims) return true;
        }
    }

    /// <summary>Claims all of it, for a worker to which it is sent as a whole.</summary>
    public void ClaimAll()
    {
        long claims;
        do claims = Volatile.Read(ref _claims);
        while (Interlocked.CompareExchange(ref _claims, Pack((int)(claims >> 32), (int)(claims >> 32)), claims) != claims);
    }

    /// <summary>Cuts off the end of what is not begun; <see langword="null"/> when everything is.</summary>
    /// <param name="share">The reciprocal of the part that is cut off: 1 is all, 2 is half, rounded up.</param>
    public Slice<TIn, TOut>? Cut(int share)
    {
        while (true)
        {
            var claims = Volatile.Read(ref _claims);
            var (next, end) = ((int)claims, (int)(claims >> 32));
            var count = (end - next + share - 1) / share;
            if (count == 0) return null;
            if (Interlocked.CompareExchange(ref _claims, Pack(next, end - count), claims) != claims) continue;
            return new Slice<TIn, TOut>(_inputs with { Offset = _inputs.Offset + end - count, Count = count, First = _inputs.First + end - count });
        }
    }

    /// <summary>Publishes the answer to the item that was claimed last.</summary>
    public void Publish(in BranchResult<TOut> result)
    {
        (_results ??= Rent())[_published] = result;
        Volatile.Write(ref _published, _published + 1);
    }

    /// <summary>Takes an answer that came from elsewhere, in any order. One caller at a time.</summary>
    /// <returns>Whether the item had no answer yet.</returns>
    public bool Answer(int offset, in BranchResult<TOut> result, GatherOrder order)
    {
        _answered ??= new bool[Count];
        if (_answered[offset]) return false;
        _answered[offset] = true;
        Answered++;
        if (order == GatherOrder.AsCompleted)
        {
            Publish(result);
            return true;
        }
        (_results ??= Rent())[offset] = result;
        var published = _published;
        while (published < _answered.Length && _answered[published]) published++;
        Volatile.Write(ref _published, published);
        return true;
    }

    /// <summary>Returns whether an item has its answer, published or waiting for the one before it.</summary>
    public bool IsAnswered(int offset) => _answered is null ? offset < Published : _answered[offset];

    /// <summary>Publishes answers that wait for one before them that will not come any more.</summary>
    public void PublishRest(GatherOrder order)
    {
        if (_answered is null || _results is null || order == GatherOrder.AsCompleted) return;
        var published = _published;
        for (var offset = published; offset < _answered.Length; offset++)
            if (_answered[offset]) _results[published++] = _results[offset];
        Volatile.Write(ref _published, published);
    }

    /// <summary>Gives the memory back; nobody may read or write the slice any more.</summary>
    public void Recycle()
    {
        if (_results is not null) ArrayPool<BranchResult<TOut>>.Shared.Return(_results, clearArray: true);
        _results = null;
    }

    private BranchResult<TOut>[] Rent() => ArrayPool<BranchResult<TOut>>.Shared.Rent(Count);

    private static long Pack(int next, int end) => ((long)end << 32) | (uint)next;
}
