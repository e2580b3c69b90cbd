namespace DistributedPatterns.MapReduce.Engine;

/// <summary>Folds partitions and brings them together. Synchronous: it waits for nothing but the disk, so run it where a thread may be busy.</summary>
internal static class Reducer
{
    /// <summary>Merges all partitions of some runs into one run.</summary>
    public static RunSize MergeRuns(IReadOnlyList<string> runs, int partitions, ValueFold fold, string output, int width, CancellationToken cancellationToken)
    {
        using var writer = new RunWriter(output, fold);
        for (var partition = 0; partition < partitions; partition++)
        {
            writer.BeginPartition();
            RunMerger.Merge(runs, partition, fold, writer, width, output + ".part", cancellationToken);
        }
        return new RunSize(writer.Pairs, writer.Finish());
    }

    /// <summary>Reduces one partition of the mappers' outputs to a run of one partition.</summary>
    /// <exception cref="LostOutputException">An output is missing or damaged; the number is its place among them.</exception>
    public static void ReducePartition(IReadOnlyList<string> outputs, int partition, ValueFold fold, string output, int width, CancellationToken cancellationToken)
    {
        using var writer = new RunWriter(output, fold);
        writer.BeginPartition();
        RunMerger.Merge(outputs, partition, fold, writer, width, output + ".part", cancellationToken);
        writer.Finish();
    }

    /// <summary>Brings the reduced partitions together: the result.</summary>
    /// <exception cref="LostOutputException">A partition is missing or damaged; the number is its place among them.</exception>
    public static ResultSize WriteResult(IReadOnlyList<string> partitions, ValueFold fold, string output, int width, CancellationToken cancellationToken)
    {
        using var writer = new ResultWriter(output, fold);
        RunMerger.Merge(partitions, 0, fold, writer, width, output + ".part", cancellationToken);
        var hash = writer.Finish();
        return new ResultSize(writer.Keys, writer.Bytes, hash);
    }
}

internal readonly record struct RunSize(long Pairs, long Bytes);

internal readonly record struct ResultSize(long Keys, long Bytes, string Sha256);
