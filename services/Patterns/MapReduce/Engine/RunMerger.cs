namespace DistributedPatterns.MapReduce.Engine;

/// <summary>Brings sorted runs together, one open file each, and folds the values of each key.</summary>
internal static class RunMerger
{
    private const int PairsBetweenLooks = 8_192; // at the token

    /// <summary>Merges one partition of some runs into a sink. More than <paramref name="width"/> runs are first merged into fewer, beside <paramref name="scratch"/>.</summary>
    /// <param name="scratch">What the names of files in between begin with; they are gone at the end.</param>
    /// <exception cref="LostOutputException">A run is missing or damaged; the number is its place among the runs.</exception>
    public static void Merge(
        IReadOnlyList<string> runs, int partition, ValueFold fold, PairSink sink, int width, string scratch, CancellationToken cancellationToken)
    {
        if (runs.Count <= width)
        {
            MergeOnce(runs, 0, partition, fold, sink, cancellationToken);
            return;
        }
        var fewer = new List<string>();
        try
        {
            for (var from = 0; from < runs.Count; from += width)
            {
                fewer.Add($"{scratch}-{fewer.Count}");
                using var writer = new RunWriter(fewer[^1], fold);
                writer.BeginPartition();
                MergeOnce([.. runs.Skip(from).Take(width)], from, partition, fold, writer, cancellationToken);
                writer.Finish();
            }
            Merge(fewer, 0, fold, sink, width, scratch + "-", cancellationToken);
        }
        finally
        {
            foreach (var file in fewer) File.Delete(file);
        }
    }

    private static void MergeOnce(IReadOnlyList<string> runs, int firstNumber, int partition, ValueFold fold, PairSink sink, CancellationToken cancellationToken)
    {
        var open = new List<RunFile>(runs.Count);
        var reading = firstNumber; // which run an error is about
        try
        {
            var heap = new CursorHeap(runs.Count, byValue: fold == ValueFold.Set);
            foreach (var run in runs)
            {
                reading = firstNumber + open.Count;
                open.Add(RunFile.Open(run));
                heap.Add(open[^1].Read(partition), reading);
            }
            new Folding(fold, sink).Run(heap, ref reading, cancellationToken);
        }
        catch (Exception error) when (error is FileNotFoundException or DirectoryNotFoundException or InvalidDataException)
        {
            throw new LostOutputException(reading, $"The output {Path.GetFileName(runs[reading - firstNumber])} cannot be read: {error.Message}", error);
        }
        finally
        {
            foreach (var file in open) file.Dispose();
        }
    }

    private sealed class Folding(ValueFold fold, PairSink sink)
    {
        private byte[] _key = [];
        private int _keyLength;

        private ReadOnlySpan<byte> Key => _key.AsSpan(0, _keyLength);

        public void Run(CursorHeap heap, ref int reading, CancellationToken cancellationToken)
        {
            for (var pairs = 0L; heap.Count > 0;)
            {
                var (prefix, value) = (heap.First.Prefix, heap.First.Value);
                Keep(heap.First.Key);
                if (fold == ValueFold.Set) sink.Add(Key, value);
                while (heap.MoveFirst(ref reading) && heap.First.Prefix == prefix && heap.First.Key.SequenceEqual(Key))
                {
                    if (fold == ValueFold.Set && heap.First.Value != value) sink.Add(Key, heap.First.Value);
                    value = Fold(value, heap.First.Value);
                    if (++pairs % PairsBetweenLooks == 0) cancellationToken.ThrowIfCancellationRequested();
                }
                if (fold != ValueFold.Set) sink.Add(Key, value);
                if (++pairs % PairsBetweenLooks == 0) cancellationToken.ThrowIfCancellationRequested();
            }
        }

        private long Fold(long first, long second) => fold switch
        {
            ValueFold.Sum => unchecked(first + second),
            ValueFold.Min => Math.Min(first, second),
            ValueFold.Max => Math.Max(first, second),
            _ => second, // of a set the last one, for what comes next is not smaller
        };

        private void Keep(ReadOnlySpan<byte> key)
        {
            if (_key.Length < key.Length) _key = new byte[key.Length * 2];
            key.CopyTo(_key);
            _keyLength = key.Length;
        }
    }
}
