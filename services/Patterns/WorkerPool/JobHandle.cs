namespace DistributedPatterns.WorkerPool;

/// <summary>A job that was taken on. In process it gives the outcome also after the pool has forgotten the job.</summary>
public class JobHandle
{
    private readonly IWorkerPool _pool;
    private readonly Task<JobStatus>? _ended;

    internal JobHandle(IWorkerPool pool, string id, bool isNew, Task<JobStatus>? ended = null) => (_pool, Id, IsNew, _ended) = (pool, id, isNew, ended);

    public string Id { get; }

    /// <summary>Gets whether this submit brought the job in; otherwise it was there before.</summary>
    public bool IsNew { get; }

    /// <inheritdoc cref="IWorkerPool.WaitAsync"/>
    public Task<JobStatus> WaitAsync(CancellationToken cancellationToken = default) =>
        _ended?.WaitAsync(cancellationToken) ?? _pool.WaitAsync(Id, cancellationToken);

    /// <inheritdoc cref="IWorkerPool.CancelAsync"/>
    public ValueTask<JobCancellation> CancelAsync(CancellationToken cancellationToken = default) => _pool.CancelAsync(Id, cancellationToken);

    internal JobHandle<TResult> As<TResult>(Func<JobStatus, TResult> read) => new(_pool, Id, IsNew, _ended, read);
}

/// <summary>A job that was taken on and makes a <typeparamref name="TResult"/>.</summary>
public sealed class JobHandle<TResult> : JobHandle
{
    private readonly Func<JobStatus, TResult> _read;

    internal JobHandle(IWorkerPool pool, string id, bool isNew, Task<JobStatus>? ended, Func<JobStatus, TResult> read)
        : base(pool, id, isNew, ended) => _read = read;

    /// <summary>Waits for the job's result.</summary>
    /// <exception cref="JobFailedException">The job failed, or is dead.</exception>
    /// <exception cref="JobCancelledException">The job was cancelled. Cancelling <paramref name="cancellationToken"/> ends the waiting only.</exception>
    public async Task<TResult> ResultAsync(CancellationToken cancellationToken = default) => _read(await WaitAsync(cancellationToken).ConfigureAwait(false));
}

/// <summary>The typed way to submit.</summary>
public static class WorkerPoolExtensions
{
    /// <summary>Takes a job on whose result has a type.</summary>
    /// <inheritdoc cref="IWorkerPool.SubmitAsync"/>
    public static ValueTask<JobHandle<TResult>> SubmitAsync<TJob, TResult>(
        this IWorkerPool pool, JobDefinition<TJob, TResult> definition, TJob input, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(definition);
        return pool.SubmitAsync(definition, definition.With(input), cancellationToken);
    }

    /// <summary>Takes a job on whose result has a type, with an id or a deadline.</summary>
    /// <inheritdoc cref="IWorkerPool.SubmitAsync"/>
    public static async ValueTask<JobHandle<TResult>> SubmitAsync<TJob, TResult>(
        this IWorkerPool pool, JobDefinition<TJob, TResult> definition, JobRequest request, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(pool);
        ArgumentNullException.ThrowIfNull(definition);
        return (await pool.SubmitAsync(request, cancellationToken).ConfigureAwait(false)).As(definition.ResultOf);
    }
}
