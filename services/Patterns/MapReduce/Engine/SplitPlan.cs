namespace DistributedPatterns.MapReduce.Engine;

/// <summary>How a job is cut: a function of the request and the file's length, so that whoever takes a job over cuts it alike.</summary>
internal readonly record struct SplitPlan(long Length, long SplitBytes, int Reducers)
{
    private const long DefaultSplitBytes = 16L << 20;
    private const int DefaultReducers = 4;

    /// <summary>Gets how many splits there are; an empty file has none.</summary>
    public int Splits => (int)((Length + SplitBytes - 1) / SplitBytes);

    public Split this[int number] => new(number * SplitBytes, Math.Min((number + 1) * SplitBytes, Length));

    public static SplitPlan Of(MapReduceRequest request, long length)
    {
        var bytes = Math.Max(request.SplitBytes ?? DefaultSplitBytes, (length + MapReduceRequest.MaxSplits - 1) / MapReduceRequest.MaxSplits);
        return new SplitPlan(length, bytes, request.Reducers ?? DefaultReducers);
    }
}

/// <summary>A range of a file. The lines that begin in it are its own, also the end of the last one beyond it.</summary>
internal readonly record struct Split(long From, long To);
