using DistributedPatterns.ProducerConsumer;
using DistributedPatterns.Redis;
using DistributedPatterns.WorkerPool.Engine;
using Microsoft.Extensions.Options;

namespace DistributedPatterns.WorkerPool;

/// <summary>The pool across processes, as its submitters see it: jobs go through a leased queue in Redis to whatever process has workers.</summary>
/// <remarks>
/// Beyond the contract: jobs outlive submitters and workers. The job of a worker that died starts elsewhere within its lease, with its attempt
/// counted: a job that takes its workers with it ends as dead. The price: exclusion is by lease, so never certain. A worker that was frozen past
/// its lease may still be at work while another one does the same; one outcome counts, the other is refused and counted as fenced. What a job writes
/// elsewhere must be repeatable, or compare <see cref="JobContext.Fence"/>.
/// <para>While Redis is away a submit is repeated for <see cref="RedisWorkerPoolOptions.RetryFor"/>, then its error surfaces. Ledger and list of
/// workers are each one reading, not both together. A drain is for all processes; one that does not know of it yet refuses submits at the
/// latest <see cref="RedisWorkerPoolOptions.ReportEvery"/> later.</para>
/// </remarks>
public sealed class RedisWorkerPool : IWorkerPool
{
    internal const string QueueName = "jobs";

    private static readonly TimeSpan s_lookEvery = TimeSpan.FromMilliseconds(100);

    private readonly IWorkQueue<JobEnvelope> _queue;
    private readonly RedisWorkerRegistry _registry;
    private readonly JobCatalog _catalog;
    private readonly RedisWorkerPoolOptions _options;
    private readonly TimeProvider _time;
    private readonly RedisRetry _retry;
    private readonly ControlCache _control;

    internal RedisWorkerPool(
        IWorkQueue<JobEnvelope> queue, RedisWorkerRegistry registry, JobCatalog catalog, IOptions<RedisWorkerPoolOptions> options, TimeProvider time)
    {
        (_queue, _registry, _catalog, _options, _time) = (queue, registry, catalog, options.Value, time);
        _retry = new RedisRetry(time);
        _control = new ControlCache(registry, _options.ReportEvery, time);
    }

    /// <inheritdoc/>
    /// <exception cref="PayloadTooLargeException">The input takes more than 64 KiB as JSON. Store it elsewhere and submit where it lies.</exception>
    public async ValueTask<JobHandle> SubmitAsync(JobRequest request, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(request);
        JobRequestRules.Check(request);
        _catalog.Get(request.Job).Read(request.Input);
        var id = request.Id ?? JobIds.New(request.Job);
        var isClosed = (await _control.ReadAsync(cancellationToken).ConfigureAwait(false)).IsClosed;
        if (isClosed && (request.Id is null || await _queue.FindAsync(id, cancellationToken).ConfigureAwait(false) is null)) throw new WorkerPoolDrainingException();

        var since = _time.GetTimestamp();
        var item = new WorkItem<JobEnvelope>(new(request.Job, request.Input)) { Id = id, TimeToLive = request.TimeToLive, Watched = true };
        var result = await _queue.EnqueueAsync(item, cancellationToken).ConfigureAwait(false);
        return result.Outcome switch
        {
            EnqueueOutcome.Accepted => new JobHandle(this, id, isNew: true),
            EnqueueOutcome.Duplicate or EnqueueOutcome.Dead => new JobHandle(this, id, isNew: false),
            EnqueueOutcome.Full => throw new WorkerPoolFullException(_options.Capacity, _options.WhenFull == PoolFullPolicy.Wait ? _time.GetElapsedTime(since) : default),
            _ => throw new WorkerPoolDrainingException(),
        };
    }

    /// <inheritdoc/>
    public async ValueTask<JobStatus?> FindAsync(string id, CancellationToken cancellationToken = default) =>
        await _queue.FindAsync(id, cancellationToken).ConfigureAwait(false) is { } found ? JobOutcomes.ToStatus(found) : null;

    /// <inheritdoc/>
    public async Task<JobStatus> WaitAsync(string id, CancellationToken cancellationToken = default)
    {
        // Nothing is lost while Redis is away, so the wait is not over either.
        var ended = await _retry.RunAsync(
            () => _queue.WaitForEndAsync(id, cancellationToken).AsTask(), Timeout.InfiniteTimeSpan, _time.GetTimestamp(), cancellationToken).ConfigureAwait(false);
        return ended is null ? throw new JobNotFoundException(id) : JobOutcomes.ToStatus(ended);
    }

    /// <inheritdoc/>
    public async ValueTask<JobCancellation> CancelAsync(string id, CancellationToken cancellationToken = default) =>
        await _queue.CancelAsync(id, cancellationToken).ConfigureAwait(false) switch
        {
            CancelOutcome.Cancelled => JobCancellation.Cancelled,
            CancelOutcome.Requested => JobCancellation.Asked,
            CancelOutcome.Ended => JobCancellation.TooLate,
            _ => JobCancellation.Unknown,
        };

    /// <inheritdoc/>
    public ValueTask ResizeAsync(int size, CancellationToken cancellationToken = default)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(size);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(size, IWorkerPool.MaxSize);
        return new(_registry.SetAsync(cancellationToken, (RedisPoolControl.SizeField, size)));
    }

    /// <inheritdoc/>
    public async Task<DrainReport> DrainAsync(TimeSpan limit, CancellationToken cancellationToken = default)
    {
        var before = await _queue.LedgerAsync(CancellationToken.None).ConfigureAwait(false);
        _control.Assume(new RedisPoolControl(IsClosed: true, IsPaused: false, Size: 0));
        await TellAsync((RedisPoolControl.ClosedField, 1)).ConfigureAwait(false);
        // By then every submitter knows; what it took on before is part of the drain.
        await DelayAsync(_options.ReportEvery < limit ? _options.ReportEvery : limit, cancellationToken).ConfigureAwait(false);
        await UntilAsync(ledger => ledger.Depth == 0, limit, cancellationToken).ConfigureAwait(false);

        await TellAsync((RedisPoolControl.PausedField, 1)).ConfigureAwait(false);
        await UntilAsync(ledger => ledger.Leased == 0, _options.ReportEvery + _options.StopGrace, CancellationToken.None).ConfigureAwait(false);
        var after = await _queue.LedgerAsync(CancellationToken.None).ConfigureAwait(false);
        var (_, _, running) = await _registry.ListAsync(CancellationToken.None).ConfigureAwait(false);
        return new DrainReport(Ended(after) - Ended(before), after.Ready + after.Delayed, after.Leased == 0 ? [] : running);

        static long Ended(WorkQueueLedger ledger) => ledger.In - ledger.Depth;
    }

    /// <inheritdoc/>
    public ValueTask ResumeAsync(CancellationToken cancellationToken = default) => new(TellAsync((RedisPoolControl.ClosedField, 0), (RedisPoolControl.PausedField, 0)));

    /// <inheritdoc/>
    public async ValueTask<WorkerPoolSnapshot> GetSnapshotAsync(CancellationToken cancellationToken = default)
    {
        var listing = _registry.ListAsync(cancellationToken);
        var ledger = await _queue.LedgerAsync(cancellationToken).ConfigureAwait(false);
        var (control, workers, running) = await listing.ConfigureAwait(false);
        return new WorkerPoolSnapshot
        {
            Ledger = new(
                ledger.In, ledger.Done - ledger.Failed, ledger.Failed, ledger.Cancelled, ledger.Dead + ledger.Dropped, ledger.Ready + ledger.Delayed, ledger.Leased),
            Counters = new(ledger.Rejected, ledger.Redelivered, ledger.Expired, ledger.Fenced),
            Capacity = _options.Capacity,
            IsDraining = control.IsClosed,
            OldestQueued = ledger.OldestAge,
            Workers = workers,
            Running = running,
        };
    }

    private async Task TellAsync(params (string Field, int Value)[] values)
    {
        await _registry.SetAsync(CancellationToken.None, values).ConfigureAwait(false);
        _control.Forget();
    }

    private async Task UntilAsync(Func<WorkQueueLedger, bool> condition, TimeSpan limit, CancellationToken cancellationToken)
    {
        var since = _time.GetTimestamp();
        while (!condition(await _queue.LedgerAsync(CancellationToken.None).ConfigureAwait(false)) && _time.GetElapsedTime(since) < limit && !cancellationToken.IsCancellationRequested)
            await DelayAsync(s_lookEvery, cancellationToken).ConfigureAwait(false);
    }

    private async Task DelayAsync(TimeSpan time, CancellationToken cancellationToken) =>
        await Task.Delay(time, _time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
}
