namespace DistributedPatterns.MapReduce;

/// <summary>Runs a job over a file: its records are mapped to pairs in splits, the pairs of a key are folded to one line of the result.</summary>
/// <remarks>
/// What both variants keep:
/// <list type="bullet">
/// <item>The result is a function of job, input and parameters alone: sorted by the keys' bytes, the same to a byte in both variants,
/// whatever the splits, mappers, reducers, the combiner, and whoever died meanwhile. <see cref="MapReduceReport.Sha256"/> names it.</item>
/// <item>Each split and each partition counts once, however often it was tried: only the attempt that is committed is read, and its counters with it.</item>
/// <item>Bounded: jobs open at a time, the memory of a mapper (<see cref="MapReduceOptions.MapperMemoryBytes"/>, beyond it pairs are spilled to disk),
/// the files a merge has open. No part of the input, the pairs or the result is in memory as a whole.</item>
/// <item>A record that the job refuses ends the job or is left out and counted, as the request says: read = mapped + skipped.</item>
/// <item>A cancelled or failed job leaves no result and no files.</item>
/// </list>
/// <para><see cref="ChannelMapReduce"/> lives and dies with its process. <see cref="RedisMapReduce"/> survives the death of any process: a
/// split, a partition, or the whole job's coordination is done again by another one, at least once and committed once.</para>
/// All members are thread safe.
/// </remarks>
public interface IMapReduce
{
    /// <summary>Takes a job on. The same id again starts nothing.</summary>
    /// <exception cref="UnknownMapReduceJobException">No job of that name is registered.</exception>
    /// <exception cref="MapReduceRequestException">A parameter, a number or the input's name is not accepted; the message says what is.</exception>
    /// <exception cref="MapReduceConflictException">The id belongs to a job that was asked for differently.</exception>
    /// <exception cref="MapReduceFullException">As many jobs as allowed are open.</exception>
    Task<MapReduceStatus> StartAsync(MapReduceRequest request, CancellationToken cancellationToken = default);

    /// <summary>Reads how far a job is, or how it ended; <see langword="null"/> when the id is unknown or forgotten.</summary>
    Task<MapReduceStatus?> FindAsync(string id, CancellationToken cancellationToken = default);

    /// <summary>Waits for a job's end; <see langword="null"/> when the id is unknown or forgotten.</summary>
    Task<MapReduceStatus?> WaitAsync(string id, CancellationToken cancellationToken = default);

    /// <summary>Cancels a job. False when it has ended already or is unknown.</summary>
    /// <remarks>Nothing of it is begun any more when this returns; what runs ends at the next block of its input.</remarks>
    Task<bool> CancelAsync(string id, CancellationToken cancellationToken = default);

    /// <summary>Opens the result of a completed job; <see langword="null"/> when there is none. The caller disposes it.</summary>
    /// <remarks>UTF-8 lines <c>key TAB value LF</c>, sorted by the keys' bytes; values of <see cref="ValueFold.Set"/> ascend and are separated by commas.</remarks>
    Task<MapReduceResult?> OpenResultAsync(string id, CancellationToken cancellationToken = default);

    /// <summary>Counts the jobs that this variant knows of.</summary>
    /// <remarks>Across processes a job that has ended counts as running until its coordinator has put its files away.</remarks>
    Task<MapReduceStats> GetStatsAsync(CancellationToken cancellationToken = default);
}

/// <summary>Reads results.</summary>
public static class MapReduceExtensions
{
    /// <summary>The most entries of a top list.</summary>
    public const int MaxTop = 1_000;

    /// <summary>Returns the keys with the largest values, or with <see cref="ValueFold.Set"/> the most; among equals the smaller key is first.</summary>
    /// <param name="count">From 1 to <see cref="MaxTop"/>.</param>
    /// <returns><see langword="null"/> when there is no result.</returns>
    public static async Task<IReadOnlyList<TopEntry>?> TopAsync(this IMapReduce mapReduce, string id, int count, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(mapReduce);
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(count, MaxTop);
        if (await mapReduce.OpenResultAsync(id, cancellationToken).ConfigureAwait(false) is not { } result) return null;
        await using var closing = result.ConfigureAwait(false);
        return await Engine.TopScan.ReadAsync(result, count, cancellationToken).ConfigureAwait(false);
    }
}

/// <summary>A key and what it was folded to.</summary>
/// <param name="Key">Bytes that are not UTF-8 are replaced.</param>
/// <param name="Value">The value, or how many a set has.</param>
public readonly record struct TopEntry(string Key, long Value);

/// <summary>The result of a completed job, open for reading.</summary>
/// <param name="fold">What the values were folded by.</param>
/// <param name="content">The lines.</param>
public sealed class MapReduceResult(ValueFold fold, Stream content) : IAsyncDisposable
{
    public ValueFold Fold => fold;

    public Stream Content => content;

    public ValueTask DisposeAsync() => content.DisposeAsync();

    internal static MapReduceResult? TryOpen(string path, ValueFold fold)
    {
        try
        {
            return new MapReduceResult(fold, new FileStream(path, new FileStreamOptions
            {
                // Whoever reads keeps what it reads, also when the job is forgotten meanwhile.
                Share = FileShare.Read | FileShare.Delete,
                Options = FileOptions.Asynchronous | FileOptions.SequentialScan,
            }));
        }
        catch (Exception error) when (error is FileNotFoundException or DirectoryNotFoundException)
        {
            return null;
        }
    }
}
