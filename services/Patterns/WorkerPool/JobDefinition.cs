using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace DistributedPatterns.WorkerPool;

/// <summary>Does a job's work. Called on a pool thread, by several workers at the same time.</summary>
/// <param name="job">The input.</param>
/// <param name="context">Which attempt of which job this is.</param>
/// <param name="cancellationToken">Cancelled at the time limit, at the deadline, when the job is cancelled or its lease is lost. A job that ignores it keeps its worker.</param>
public delegate ValueTask<TResult> JobHandler<in TJob, TResult>(TJob job, JobContext context, CancellationToken cancellationToken);

/// <summary>Which attempt of which job this is.</summary>
/// <param name="Attempt">From 1. Crashed attempts count, attempts handed back by a stopping process do not.</param>
/// <param name="Fence">Rises with each attempt. A store that keeps the highest it saw can refuse a worker that was paused and came back. 0 in process.</param>
public readonly record struct JobContext(string Id, int Attempt, string Worker, long Fence);

/// <summary>A job by name: what it takes, what it does, how often and how long. Immutable; the same one serves both variants.</summary>
/// <remarks>Across processes only the name travels, so every process has to register the same definitions.</remarks>
public abstract class JobDefinition
{
    private protected JobDefinition(string name, JobOptions options)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(name);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(name.Length, 64, nameof(name));
        options.Validate(name);
        (Name, Options) = (name, options);
    }

    public string Name { get; }

    internal JobOptions Options { get; }

    /// <summary>Reads an input; <see cref="RunAsync"/> takes what this returns.</summary>
    /// <exception cref="JobInputException">It is not what the job takes.</exception>
    internal abstract object? Read(JsonElement input);

    internal abstract ValueTask<JsonElement> RunAsync(object? input, JobContext context, CancellationToken cancellationToken);
}

/// <summary>A job that makes a <typeparamref name="TResult"/> of a <typeparamref name="TJob"/>.</summary>
/// <param name="name">1 to 64 characters.</param>
/// <param name="handler">Repeatable: it runs again when it throws, and across processes also when its worker dies.</param>
public sealed class JobDefinition<TJob, TResult>(
    string name, JobHandler<TJob, TResult> handler, JsonTypeInfo<TJob> jobType, JsonTypeInfo<TResult> resultType, JobOptions? options = null)
    : JobDefinition(name, options ?? new())
{
    /// <summary>Makes a request of a typed input.</summary>
    public JobRequest With(TJob input) => new(Name, JsonSerializer.SerializeToElement(input, jobType));

    /// <summary>Returns the result of a job that is done.</summary>
    /// <exception cref="JobFailedException">It failed, or is dead.</exception>
    /// <exception cref="JobCancelledException">It was cancelled.</exception>
    public TResult ResultOf(JobStatus status) => status switch
    {
        { State: JobState.Done, Result: { } result } => result.Deserialize(resultType)!,
        { State: JobState.Cancelled } => throw new JobCancelledException(status),
        { HasEnded: true } => throw new JobFailedException(status),
        _ => throw new InvalidOperationException($"Job {status.Id} has not ended: {status.State}."),
    };

    internal override object? Read(JsonElement input)
    {
        try
        {
            return input.Deserialize(jobType) ?? throw new JobInputException(Name, "it is null");
        }
        catch (JsonException error)
        {
            throw new JobInputException(Name, error.Message, error);
        }
    }

    internal override async ValueTask<JsonElement> RunAsync(object? input, JobContext context, CancellationToken cancellationToken) =>
        JsonSerializer.SerializeToElement(await handler((TJob)input!, context, cancellationToken).ConfigureAwait(false), resultType);
}

/// <summary>The jobs registered in this process, by name.</summary>
public sealed class JobCatalog
{
    private readonly Dictionary<string, JobDefinition> _byName;

    /// <exception cref="ArgumentException">Two definitions have the same name.</exception>
    public JobCatalog(IEnumerable<JobDefinition> definitions) => _byName = definitions.ToDictionary(d => d.Name, StringComparer.Ordinal);

    public IReadOnlyCollection<JobDefinition> All => _byName.Values;

    /// <exception cref="UnknownJobException">None has that name; the exception lists those there are.</exception>
    public JobDefinition Get(string name) =>
        _byName.TryGetValue(name, out var definition) ? definition : throw new UnknownJobException(name, _byName.Keys);
}
