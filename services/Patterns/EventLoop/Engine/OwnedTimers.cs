namespace DistributedPatterns.EventLoop.Engine;

/// <summary>The timers of a partition in its owner, the next one first. Redis has them too, with the server's time.</summary>
internal sealed class OwnedTimers(TimeProvider time)
{
    private readonly Dictionary<string, Entry> _byField = new(StringComparer.Ordinal);
    private readonly PriorityQueue<Entry, long> _byDue = new();

    public int Count => _byField.Count;

    /// <summary>Gets how long until the next one, or <see langword="null"/> when there is none.</summary>
    public TimeSpan? NextIn
    {
        get
        {
            while (_byDue.TryPeek(out var entry, out var due))
            {
                if (IsCurrent(entry)) return time.GetElapsedTime(time.GetTimestamp(), due) is var left && left > TimeSpan.FromMilliseconds(1) ? left : TimeSpan.FromMilliseconds(1);
                _byDue.Dequeue();
            }
            return null;
        }
    }

    public void Set(string field, TimeSpan delay, string value)
    {
        var cut = value.IndexOf(' ', StringComparison.Ordinal);
        var entry = new Entry(field, field[..field.IndexOf(' ', StringComparison.Ordinal)], value[..cut], value[(cut + 1)..]);
        _byField[field] = entry;
        _byDue.Enqueue(entry, time.GetTimestamp() + (long)(delay.TotalSeconds * time.TimestampFrequency));
    }

    public void Cancel(string field) => _byField.Remove(field);

    public void Clear()
    {
        _byField.Clear();
        _byDue.Clear();
    }

    public List<Entry> TakeDue(int most)
    {
        var due = new List<Entry>();
        var now = time.GetTimestamp();
        while (due.Count < most && _byDue.TryPeek(out var entry, out var at) && (at <= now || !IsCurrent(entry)))
        {
            _byDue.Dequeue();
            if (!IsCurrent(entry)) continue;
            _byField.Remove(entry.Field);
            due.Add(entry);
        }
        return due;
    }

    private bool IsCurrent(Entry entry) => _byField.TryGetValue(entry.Field, out var current) && ReferenceEquals(current, entry);

    /// <param name="Field">The key and the timer's name.</param>
    public sealed record Entry(string Field, string Key, string Handler, string Body);
}
