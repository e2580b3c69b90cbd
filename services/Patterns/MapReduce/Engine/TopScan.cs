using System.Text;

namespace DistributedPatterns.MapReduce.Engine;

/// <summary>Finds the largest entries in one pass over a result, with no more of it in memory than those.</summary>
internal sealed class TopScan(int count, ValueFold fold)
{
    private const int BufferBytes = 64 * 1024;

    private readonly PriorityQueue<byte[], (long Value, long Place)> _best = new(); // the worst first
    private readonly List<byte> _key = [];
    private bool _isInValue;
    private bool _isNegative;
    private long _number;
    private long _values;
    private long _lines;

    public static async Task<IReadOnlyList<TopEntry>> ReadAsync(MapReduceResult result, int count, CancellationToken cancellationToken)
    {
        var scan = new TopScan(count, result.Fold);
        var buffer = new byte[BufferBytes];
        while (await result.Content.ReadAsync(buffer, cancellationToken).ConfigureAwait(false) is > 0 and var read) scan.Add(buffer.AsSpan(0, read));
        return scan.Best();
    }

    private void Add(ReadOnlySpan<byte> block)
    {
        while (block.Length > 0)
        {
            var end = block.IndexOf(_isInValue ? (byte)'\n' : (byte)'\t');
            var part = end < 0 ? block : block[..end];
            if (!_isInValue) _key.AddRange(part);
            else if (fold == ValueFold.Set) _values += part.Count((byte)',');
            else AddDigits(part);
            if (end < 0) return;
            if (_isInValue) EndLine();
            _isInValue = !_isInValue;
            block = block[(end + 1)..];
        }
    }

    private void AddDigits(ReadOnlySpan<byte> digits)
    {
        foreach (var digit in digits)
        {
            if (digit == (byte)'-') _isNegative = true;
            else _number = unchecked((_number * 10) - (digit - '0')); // below zero there is one number more
        }
    }

    private void EndLine()
    {
        var value = fold == ValueFold.Set ? _values + 1 : _isNegative ? _number : -_number;
        // Keys ascend: among equals the later one is the worse.
        var priority = (value, -_lines++);
        if (_best.Count < count) _best.Enqueue([.. _key], priority);
        else if (_best.TryPeek(out _, out var worst) && priority.CompareTo(worst) > 0) _best.EnqueueDequeue([.. _key], priority);
        _key.Clear();
        (_isNegative, _number, _values) = (false, 0, 0);
    }

    private List<TopEntry> Best()
    {
        var entries = _best.UnorderedItems.ToList();
        entries.Sort(static (a, b) => b.Priority.CompareTo(a.Priority));
        return [.. entries.Select(static entry => new TopEntry(Encoding.UTF8.GetString(entry.Element), entry.Priority.Value))];
    }
}
