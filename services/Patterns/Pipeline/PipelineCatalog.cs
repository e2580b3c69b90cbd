namespace DistributedPatterns.Pipeline;

/// <summary>The pipelines registered in this process, by name.</summary>
public sealed class PipelineCatalog
{
    private readonly Dictionary<string, PipelineDefinition> _byName;

    /// <exception cref="ArgumentException">Two definitions have the same name.</exception>
    public PipelineCatalog(IEnumerable<PipelineDefinition> definitions) => _byName = definitions.ToDictionary(d => d.Name, StringComparer.Ordinal);

    public IReadOnlyCollection<PipelineDefinition> All => _byName.Values;

    /// <exception cref="UnknownPipelineException">None has that name; the exception lists those there are.</exception>
    public PipelineDefinition Get(string name) =>
        _byName.TryGetValue(name, out var definition) ? definition : throw new UnknownPipelineException(name, _byName.Keys);
}
