namespace Aspire.Hosting.Dashboard.Telemetry;

/// <summary>The newest entries, up to a number and a size. The oldest make room for new ones and are counted. Thread-safe.</summary>
internal sealed class Ring<T>(int capacity, long maxBytes, Func<T, long> size)
{
    private readonly Lock _gate = new();
    private readonly Queue<T> _entries = new();
    private long _bytes;
    private long _dropped;

    /// <summary>Gets how many entries made room for newer ones.</summary>
    public long Dropped => Interlocked.Read(ref _dropped);

    public void Add(IReadOnlyList<T> entries)
    {
        lock (_gate)
        {
            foreach (var entry in entries)
            {
                _entries.Enqueue(entry);
                _bytes += size(entry);
                while (_entries.Count > capacity || _bytes > maxBytes)
                {
                    _bytes -= size(_entries.Dequeue());
                    _dropped++;
                }
            }
        }
    }

    /// <summary>Returns the entries, oldest first. The lock is held while references are copied, no longer.</summary>
    public T[] Snapshot()
    {
        lock (_gate)
        {
            return _entries.ToArray();
        }
    }
}
