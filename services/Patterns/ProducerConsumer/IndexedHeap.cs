namespace DistributedPatterns.ProducerConsumer;

/// <summary>Where an item is in the heaps that it can be in; -1 where it is not.</summary>
internal struct HeapSlots
{
    private int _first;
    private int _second;
    private int _third;

    public static HeapSlots Nowhere => new() { _first = -1, _second = -1, _third = -1 };

    public int this[int heap]
    {
        readonly get => heap switch { 0 => _first, 1 => _second, _ => _third };
        set
        {
            switch (heap)
            {
                case 0: _first = value; break;
                case 1: _second = value; break;
                default: _third = value; break;
            }
        }
    }
}

/// <summary>What can be found in an <see cref="IndexedHeap{TItem}"/>.</summary>
internal interface IHeapItem
{
    /// <summary>Gets what decides among equal keys, so that both variants of the queue agree: by ordinal order, as in a sorted set.</summary>
    string Id { get; }

    ref HeapSlots Slots { get; }
}

/// <summary>A binary heap from which any item can be taken out: each knows its slot.</summary>
/// <remarks><see cref="PriorityQueue{TElement, TPriority}"/> removes by a search through all; a cancelled item must not cost that.</remarks>
/// <param name="number">0, 1 or 2: which of an item's slots is this heap's.</param>
/// <param name="lastFirst">Whether the largest key comes first instead of the smallest.</param>
internal sealed class IndexedHeap<TItem>(int number, bool lastFirst = false) where TItem : class, IHeapItem
{
    private (long Key, TItem Item)[] _nodes = new (long, TItem)[16];

    public int Count { get; private set; }

    public TItem First => _nodes[0].Item;

    public long FirstKey => _nodes[0].Key;

    /// <summary>Gets everything, in no order.</summary>
    public IEnumerable<(long Key, TItem Item)> Nodes => _nodes.Take(Count);

    public bool Contains(TItem item) => item.Slots[number] >= 0;

    public void Add(TItem item, long key)
    {
        if (Count == _nodes.Length) Array.Resize(ref _nodes, Count * 2);
        Rise(Count++, key, item);
    }

    public TItem TakeFirst()
    {
        var first = First;
        Remove(first);
        return first;
    }

    /// <summary>Takes an item out; does nothing if it is not here.</summary>
    public void Remove(TItem item)
    {
        var slot = item.Slots[number];
        if (slot < 0) return;
        item.Slots[number] = -1;
        var (key, last) = _nodes[--Count];
        _nodes[Count] = default;
        if (slot == Count) return;
        if (slot > 0 && IsBefore((key, last), _nodes[(slot - 1) / 2])) Rise(slot, key, last);
        else Sink(slot, key, last);
    }

    private void Rise(int slot, long key, TItem item)
    {
        while (slot > 0 && IsBefore((key, item), _nodes[(slot - 1) / 2]))
        {
            Put(slot, _nodes[(slot - 1) / 2]);
            slot = (slot - 1) / 2;
        }
        Put(slot, (key, item));
    }

    private void Sink(int slot, long key, TItem item)
    {
        while (true)
        {
            var child = (slot * 2) + 1;
            if (child >= Count) break;
            if (child + 1 < Count && IsBefore(_nodes[child + 1], _nodes[child])) child++;
            if (!IsBefore(_nodes[child], (key, item))) break;
            Put(slot, _nodes[child]);
            slot = child;
        }
        Put(slot, (key, item));
    }

    private bool IsBefore((long Key, TItem Item) one, (long Key, TItem Item) other)
    {
        var order = one.Key == other.Key ? string.CompareOrdinal(one.Item.Id, other.Item.Id) : one.Key.CompareTo(other.Key);
        return lastFirst ? order > 0 : order < 0;
    }

    private void Put(int slot, (long Key, TItem Item) node)
    {
        _nodes[slot] = node;
        node.Item.Slots[number] = slot;
    }
}
