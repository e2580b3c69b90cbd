namespace DistributedPatterns.Benchmarks.Harness;

/// <summary>One table of a pattern.</summary>
internal interface IBenchmark
{
    /// <summary>Measures, and returns the table as Markdown.</summary>
    Task<string> RunAsync(RunSettings settings);
}

/// <summary>One way to do what a table measures. Set up before the first round, torn down after the last.</summary>
internal abstract class Contender(string name)
{
    public string Name { get; } = name;

    /// <summary>Makes ready what a round needs: hosts, connections, inputs.</summary>
    /// <returns><see langword="null"/>, or why this contender cannot run here.</returns>
    public virtual Task<string?> SetUpAsync() => Task.FromResult<string?>(null);

    /// <summary>Gives back what <see cref="SetUpAsync"/> made, also when that failed.</summary>
    public virtual ValueTask TearDownAsync() => default;
}
