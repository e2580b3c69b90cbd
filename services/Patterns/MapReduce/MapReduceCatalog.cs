namespace DistributedPatterns.MapReduce;

/// <summary>The jobs that this process knows.</summary>
public sealed class MapReduceCatalog
{
    private readonly Dictionary<string, IMapReduceJob> _jobs = new(StringComparer.Ordinal);

    /// <exception cref="ArgumentException">Two jobs have the same name, or one has none.</exception>
    public MapReduceCatalog(IEnumerable<IMapReduceJob> jobs)
    {
        foreach (var job in jobs)
        {
            ArgumentException.ThrowIfNullOrWhiteSpace(job.Name);
            ArgumentOutOfRangeException.ThrowIfGreaterThan(job.Name.Length, 64);
            _jobs.Add(job.Name, job);
        }
    }

    public IReadOnlyCollection<IMapReduceJob> Jobs => _jobs.Values;

    /// <exception cref="UnknownMapReduceJobException">No job of that name is registered.</exception>
    internal IMapReduceJob Get(string name) => _jobs.TryGetValue(name, out var job)
        ? job
        : throw new UnknownMapReduceJobException($"There is no job '{MapReduceInputs.Shorten(name)}'. There are: {string.Join(", ", _jobs.Keys)}.");

    /// <summary>Checks a request without beginning anything.</summary>
    internal IMapReduceJob Check(MapReduceRequest request)
    {
        ArgumentNullException.ThrowIfNull(request);
        var job = Get(request.Job);
        request.Check();
        job.CreateMapper(request.Parameters);
        return job;
    }
}
