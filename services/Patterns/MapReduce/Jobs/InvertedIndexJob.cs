namespace DistributedPatterns.MapReduce.Jobs;

/// <summary>In which lines each word occurs, by the offset at which they begin: <c>dd skip=</c> or a seek finds them.</summary>
/// <remarks>Offsets, not numbers of lines: a split knows where in the file it is, but not how many lines are before it. Words as in <see cref="WordCountJob"/>.</remarks>
public sealed class InvertedIndexJob : IMapReduceJob
{
    public string Name => "inverted-index";

    public string Summary => "in which lines each word occurs, by their offsets in bytes; no parameters";

    public ValueFold Fold => ValueFold.Set;

    public IRecordMapper CreateMapper(IReadOnlyDictionary<string, string> parameters)
    {
        ArgumentNullException.ThrowIfNull(parameters);
        JobParameters.CheckNames(parameters, Name);
        return new WordMapper(withOffset: true);
    }
}
