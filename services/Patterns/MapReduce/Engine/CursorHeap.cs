namespace DistributedPatterns.MapReduce.Engine;

/// <summary>Cursors by the pairs they stand at, the smallest first: a binary heap.</summary>
/// <param name="byValue">Whether equal keys go by their values.</param>
internal sealed class CursorHeap(int capacity, bool byValue)
{
    private readonly (RunCursor Cursor, int Number)[] _heap = new (RunCursor, int)[capacity];

    public int Count { get; private set; }

    public RunCursor First => _heap[0].Cursor;

    /// <summary>Adds a cursor that stands before its first pair; one without pairs is left out.</summary>
    public void Add(RunCursor cursor, int number)
    {
        if (!cursor.MoveNext()) return;
        var at = Count++;
        for (; at > 0 && IsBefore(cursor, _heap[(at - 1) / 2].Cursor); at = (at - 1) / 2) _heap[at] = _heap[(at - 1) / 2];
        _heap[at] = (cursor, number);
    }

    /// <summary>Moves the first cursor on and puts it where it belongs then. False when none is left.</summary>
    /// <param name="reading">Set to the number of the cursor that moves, in case it throws.</param>
    public bool MoveFirst(ref int reading)
    {
        var moved = _heap[0];
        reading = moved.Number;
        if (!moved.Cursor.MoveNext())
        {
            if (--Count == 0) return false;
            moved = _heap[Count];
        }
        var at = 0;
        for (var child = 1; child < Count; child = (2 * at) + 1)
        {
            if (child + 1 < Count && IsBefore(_heap[child + 1].Cursor, _heap[child].Cursor)) child++;
            if (!IsBefore(_heap[child].Cursor, moved.Cursor)) break;
            _heap[at] = _heap[child];
            at = child;
        }
        _heap[at] = moved;
        return true;
    }

    private bool IsBefore(RunCursor first, RunCursor second)
    {
        var order = KeyBytes.Compare(first.Prefix, first.Key, second.Prefix, second.Key);
        return order != 0 ? order < 0 : byValue && first.Value < second.Value;
    }
}
