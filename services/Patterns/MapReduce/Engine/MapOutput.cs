using System.Runtime.CompilerServices;

namespace DistributedPatterns.MapReduce.Engine;

/// <summary>Takes the pairs that a mapper emits: a table of keys whose values are folded at once, or without combiner a list of pairs.</summary>
/// <remarks>Not thread safe: each mapper has its own. No object is made for a key or a pair.</remarks>
public sealed class MapOutput
{
    private const int FirstEntries = 256;
    private const int FirstKeyBytes = 4_096;

    private readonly ValueFold _fold;
    private readonly bool _combines;
    private readonly long _limit;
    private Entry[] _entries = new Entry[FirstEntries];
    private Slot[] _slots = new Slot[FirstEntries * 2];
    private byte[] _keys = new byte[FirstKeyBytes];
    private SetValue[] _values = []; // of sets, a linked list a key
    private int _count;
    private int _keyBytes;
    private int _valueCount;
    private int _fullAtEntries = int.MaxValue;
    private int _fullAtKeyBytes = int.MaxValue;
    private int _fullAtValues = int.MaxValue;

    internal MapOutput(ValueFold fold, CombinerUse combiner, long limitBytes)
    {
        (_fold, _combines, _limit) = (fold, combiner == CombinerUse.On, limitBytes);
        SetLimits();
    }

    /// <summary>Gets how many pairs were emitted.</summary>
    public long Emitted { get; private set; }

    /// <summary>Gets whether the memory is as good as used up: what is here should be written, and <see cref="Clear"/>ed.</summary>
    internal bool IsFull => _count > _fullAtEntries || _keyBytes > _fullAtKeyBytes || _valueCount > _fullAtValues;

    internal bool IsEmpty => _count == 0;

    /// <summary>Adds one pair.</summary>
    /// <param name="key">Any bytes, also none; copied.</param>
    /// <param name="value">With <see cref="ValueFold.Set"/>: 0 or more.</param>
    public void Emit(ReadOnlySpan<byte> key, long value)
    {
        Emitted++;
        var prefix = KeyBytes.Prefix(key);
        var hash = KeyBytes.Hash(prefix, key);
        if (!_combines)
        {
            Add(key, prefix, hash, value);
            return;
        }
        var slots = _slots;
        for (var at = hash; ; at++)
        {
            ref var slot = ref slots[at & (uint)(slots.Length - 1)];
            if (slot.Entry == 0)
            {
                slot = new Slot(hash, _count + 1);
                Add(key, prefix, hash, value);
                if (_count * 2 > slots.Length) GrowSlots();
                return;
            }
            if (slot.Hash != hash) continue;
            ref var entry = ref _entries[slot.Entry - 1];
            if (entry.Prefix != prefix || entry.Length != key.Length || (key.Length > 8 && !KeyOf(entry)[8..].SequenceEqual(key[8..]))) continue;
            FoldInto(ref entry, value);
            return;
        }
    }

    /// <summary>Writes the pairs, sorted by partition and key.</summary>
    internal void WriteTo(RunWriter run, int partitions)
    {
        var order = new int[_count];
        var ends = new int[partitions];
        for (var i = 0; i < _count; i++) ends[KeyBytes.Partition(_entries[i].Hash, partitions)]++;
        for (var p = 1; p < partitions; p++) ends[p] += ends[p - 1];
        var places = (int[])ends.Clone();
        for (var i = _count - 1; i >= 0; i--) order[--places[KeyBytes.Partition(_entries[i].Hash, partitions)]] = i;
        var set = new List<long>();
        for (var p = 0; p < partitions; p++)
        {
            var part = order.AsSpan(places[p], ends[p] - places[p]);
            part.Sort(new ByKey(this));
            run.BeginPartition();
            foreach (var index in part) Write(run, _entries[index], set);
        }
    }

    internal void Clear()
    {
        Array.Clear(_slots);
        _count = _keyBytes = _valueCount = 0;
    }

    private void Write(RunWriter run, in Entry entry, List<long> set)
    {
        var key = KeyOf(entry);
        if (_fold != ValueFold.Set || !_combines)
        {
            run.Add(key, entry.Value);
            return;
        }
        set.Clear();
        for (var at = (int)entry.Value; at >= 0; at = _values[at].Next) set.Add(_values[at].Value);
        set.Sort(); // mostly it is sorted already, for records come in order
        var last = -1L;
        foreach (var value in set)
        {
            if (value != last) run.Add(key, value);
            last = value;
        }
    }

    private void Add(ReadOnlySpan<byte> key, ulong prefix, uint hash, long value)
    {
        if (_count == _entries.Length) Grow(ref _entries);
        while (_keys.Length - _keyBytes < key.Length) Grow(ref _keys);
        key.CopyTo(_keys.AsSpan(_keyBytes));
        ref var entry = ref _entries[_count++];
        entry = new Entry { Prefix = prefix, Hash = hash, Key = _keyBytes, Length = key.Length, Value = value };
        _keyBytes += key.Length;
        if (_fold != ValueFold.Set) return;
        ArgumentOutOfRangeException.ThrowIfNegative(value);
        if (_combines) entry.Value = entry.Tail = AddToSet(value);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void FoldInto(ref Entry entry, long value)
    {
        switch (_fold)
        {
            case ValueFold.Sum: entry.Value = unchecked(entry.Value + value); break;
            case ValueFold.Min: entry.Value = Math.Min(entry.Value, value); break;
            case ValueFold.Max: entry.Value = Math.Max(entry.Value, value); break;
            default: FoldIntoSet(ref entry, value); break;
        }
    }

    private void FoldIntoSet(ref Entry entry, long value)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(value);
        if (_values[entry.Tail].Value == value) return;
        var added = AddToSet(value);
        _values[entry.Tail].Next = added;
        entry.Tail = added;
    }

    private int AddToSet(long value)
    {
        if (_values.Length == 0)
        {
            _values = new SetValue[FirstEntries];
            SetLimits();
        }
        if (_valueCount == _values.Length) Grow(ref _values);
        _values[_valueCount] = new SetValue { Value = value, Next = -1 };
        return _valueCount++;
    }

    private ReadOnlySpan<byte> KeyOf(in Entry entry) => _keys.AsSpan(entry.Key, entry.Length);

    private void GrowSlots()
    {
        _slots = new Slot[_slots.Length * 2];
        var mask = (uint)(_slots.Length - 1);
        for (var i = 0; i < _count; i++)
        {
            var at = _entries[i].Hash & mask;
            while (_slots[at].Entry != 0) at = (at + 1) & mask;
            _slots[at] = new Slot(_entries[i].Hash, i + 1);
        }
        SetLimits();
    }

    private void Grow<T>(ref T[] array)
    {
        Array.Resize(ref array, array.Length * 2);
        SetLimits();
    }

    // What may not double any more is full before it has to: a record in the middle of which that happens still finds room.
    private void SetLimits()
    {
        var (entries, values) = ((long)_entries.Length * Unsafe.SizeOf<Entry>(), (long)_values.Length * Unsafe.SizeOf<SetValue>());
        var left = _limit - entries - ((long)_slots.Length * Unsafe.SizeOf<Slot>()) - _keys.Length - values;
        _fullAtEntries = FullAt(_entries.Length, entries + (_entries.Length * 2L * Unsafe.SizeOf<Slot>()));
        _fullAtKeyBytes = FullAt(_keys.Length, _keys.Length);
        _fullAtValues = FullAt(_values.Length, values);

        int FullAt(int length, long bytes) => bytes <= left ? int.MaxValue : length - (length / 8);
    }

    private struct Entry
    {
        public ulong Prefix;
        public uint Hash;
        public int Key;
        public int Length;
        public int Tail; // of a set
        public long Value; // of a set its first
    }

    private readonly record struct Slot(uint Hash, int Entry);

    private struct SetValue
    {
        public long Value;
        public int Next;
    }

    private readonly struct ByKey(MapOutput output) : IComparer<int>
    {
        public int Compare(int x, int y)
        {
            ref var first = ref output._entries[x];
            ref var second = ref output._entries[y];
            var order = KeyBytes.Compare(first.Prefix, output.KeyOf(first), second.Prefix, output.KeyOf(second));
            return order != 0 || output._combines ? order : first.Value.CompareTo(second.Value);
        }
    }
}
