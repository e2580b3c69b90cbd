namespace DistributedPatterns.MapReduce.Jobs;

/// <summary>Reads a job's parameters and says what is wrong with one.</summary>
internal static class JobParameters
{
    /// <exception cref="MapReduceRequestException">There is a parameter that the job does not have.</exception>
    public static void CheckNames(IReadOnlyDictionary<string, string> parameters, string job, params ReadOnlySpan<string> names)
    {
        foreach (var name in parameters.Keys)
        {
            if (!names.Contains(name))
                throw new MapReduceRequestException($"Job '{job}' has no parameter '{MapReduceInputs.Shorten(name)}'. {(names.Length == 0 ? "It takes none." : $"It takes: {string.Join(", ", names)}.")}");
        }
    }
}
