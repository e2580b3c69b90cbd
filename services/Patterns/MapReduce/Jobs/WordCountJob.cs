namespace DistributedPatterns.MapReduce.Jobs;

/// <summary>How often each word occurs.</summary>
/// <remarks>A word is a run of ASCII letters, in lower case: what <c>tr -cs A-Za-z '\n' | tr A-Z a-z</c> takes for one.</remarks>
public sealed class WordCountJob : IMapReduceJob
{
    public string Name => "word-count";

    public string Summary => "how often each word occurs; a word is a run of ASCII letters, in lower case; no parameters";

    public ValueFold Fold => ValueFold.Sum;

    public IRecordMapper CreateMapper(IReadOnlyDictionary<string, string> parameters)
    {
        ArgumentNullException.ThrowIfNull(parameters);
        JobParameters.CheckNames(parameters, Name);
        return new WordMapper(withOffset: false);
    }
}
