using System.Globalization;
using DistributedPatterns.WorkerPool.Engine;
using Microsoft.Extensions.Options;

namespace DistributedPatterns.WorkerPool;

/// <summary>The pool inside one process: named jobs on <see cref="ChannelWorkers{TJob,TResult}"/>, with a record of each.</summary>
/// <remarks>Jobs start in the order of their submits, retries behind what waits by then. Everything is gone with the process.</remarks>
public sealed class ChannelWorkerPool : IWorkerPool, IAsyncDisposable
{
    private readonly ChannelWorkerPoolOptions _options;
    private readonly JobCatalog _catalog;
    private readonly TimeProvider _time;
    private readonly JobRecords _records;
    private readonly ChannelWorkers<ChannelJob, TimeSpan?> _workers;
    private readonly ChannelJobRunner _runner;
    private readonly SemaphoreSlim _room;
    private readonly string _idStart;
    private CancellationTokenSource _intake = new(); // cancelled while the pool drains
    private long _lastId;
    private long _rejected;

    public ChannelWorkerPool(JobCatalog catalog, IOptions<ChannelWorkerPoolOptions> options, TimeProvider time)
    {
        ArgumentNullException.ThrowIfNull(options);
        (_catalog, _options, _time) = (catalog, options.Value, time);
        _room = new SemaphoreSlim(_options.Capacity);
        _records = new JobRecords(_options.KeepEnded, _options.KeepEndedFor, () => _room.Release(), time);
        _runner = new ChannelJobRunner(_options.Name, _records, time);
        _workers = new(_options.Size, _options.Capacity, _runner.RunAsync);
        // Ids of an earlier start of this process do not come again.
        _idStart = $"{_options.IdPrefix}{Guid.NewGuid():N}"[..(_options.IdPrefix.Length + 8)] + "-";
    }

    /// <inheritdoc/>
    public async ValueTask<JobHandle> SubmitAsync(JobRequest request, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(request);
        var definition = _catalog.Get(request.Job);
        JobRequestRules.Check(request);
        if (request.Id is { } id && _records.Find(id) is { } known) return HandleOf(known, isNew: false);

        var job = new ChannelJob(request.Id ?? NewId(), definition, definition.Read(request.Input))
        {
            Deadline = request.TimeToLive is { } left ? _time.GetTimestamp() + (long)(left.TotalSeconds * _time.TimestampFrequency) : 0,
        };
        await EnterAsync(cancellationToken).ConfigureAwait(false);
        ChannelJob? added = null;
        try
        {
            added = _records.Add(job);
        }
        finally
        {
            if (added != job) _room.Release();
        }
        if (added == job) _ = RunToItsEndAsync(job); // ends in the job's record whatever happens
        return HandleOf(added, isNew: added == job);
    }

    /// <inheritdoc/>
    public ValueTask<JobStatus?> FindAsync(string id, CancellationToken cancellationToken = default) => new(_records.Read(id));

    /// <summary>Gets whether the id was given out by this pool, and its job is no longer kept.</summary>
    public bool HasForgotten(string id) =>
        id.StartsWith(_idStart, StringComparison.Ordinal)
        && long.TryParse(id.AsSpan(_idStart.Length), NumberStyles.None, CultureInfo.InvariantCulture, out var number)
        && number <= Volatile.Read(ref _lastId) && _records.Find(id) is null;

    /// <inheritdoc/>
    public Task<JobStatus> WaitAsync(string id, CancellationToken cancellationToken = default) =>
        _records.Find(id) is { } job ? job.Ended.Task.WaitAsync(cancellationToken) : throw new JobNotFoundException(id);

    /// <inheritdoc/>
    public ValueTask<JobCancellation> CancelAsync(string id, CancellationToken cancellationToken = default) =>
        new(_records.Find(id) is { } job ? TakeBack(job, reason: null) : JobCancellation.Unknown);

    /// <inheritdoc/>
    public ValueTask ResizeAsync(int size, CancellationToken cancellationToken = default)
    {
        _workers.Resize(size);
        return default;
    }

    /// <inheritdoc/>
    public async Task<DrainReport> DrainAsync(TimeSpan limit, CancellationToken cancellationToken = default)
    {
        var before = _records.Snapshot().Ledger;
        _records.Close();
        await _intake.CancelAsync().ConfigureAwait(false);
        await IdleAsync(limit, cancellationToken).ConfigureAwait(false);

        var left = _records.Open();
        foreach (var job in left) TakeBack(job, new JobError("drained", "The pool was drained before the job had a result."));
        if (left.Count > 0) await IdleAsync(_options.StopGrace, CancellationToken.None).ConfigureAwait(false);

        var after = _records.Snapshot();
        var handedBack = left.Count(job => job.State == JobState.Cancelled);
        return new DrainReport(Ended(after.Ledger) - Ended(before) - handedBack, handedBack, after.Running);

        static long Ended(JobLedger ledger) => ledger.Submitted - ledger.Queued - ledger.Running;
    }

    /// <inheritdoc/>
    public ValueTask ResumeAsync(CancellationToken cancellationToken = default)
    {
        if (_intake.IsCancellationRequested) _intake = new CancellationTokenSource();
        _records.Reopen();
        return default;
    }

    /// <inheritdoc/>
    public ValueTask<WorkerPoolSnapshot> GetSnapshotAsync(CancellationToken cancellationToken = default)
    {
        var snapshot = _records.Snapshot();
        return new(snapshot with
        {
            Counters = snapshot.Counters with { Rejected = Volatile.Read(ref _rejected) },
            Capacity = _options.Capacity,
            IsDraining = _intake.IsCancellationRequested,
            Workers = [new WorkerInfo(_options.Name, _workers.Size, snapshot.Running.Count, TimeSpan.Zero)],
        });
    }

    /// <summary>Drains without waiting for open jobs: what runs is cancelled, what waits is taken back.</summary>
    public async ValueTask DisposeAsync() => await DrainAsync(TimeSpan.Zero).ConfigureAwait(false);

    private async Task EnterAsync(CancellationToken cancellationToken)
    {
        var intake = _intake.Token;
        if (intake.IsCancellationRequested) throw new WorkerPoolDrainingException();
        if (_room.Wait(0, CancellationToken.None)) return;
        var since = _time.GetTimestamp();
        if (_options.WhenFull == PoolFullPolicy.Wait)
        {
            using var limit = _options.FullWait is { } wait ? new CancellationTokenSource(wait, _time) : null;
            using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, intake, limit?.Token ?? default);
            try
            {
                await _room.WaitAsync(either.Token).ConfigureAwait(false);
                return;
            }
            catch (OperationCanceledException)
            {
                cancellationToken.ThrowIfCancellationRequested();
                if (intake.IsCancellationRequested) throw new WorkerPoolDrainingException();
            }
        }
        Interlocked.Increment(ref _rejected);
        throw new WorkerPoolFullException(_options.Capacity, _time.GetElapsedTime(since));
    }

    private async Task RunToItsEndAsync(ChannelJob job)
    {
        try
        {
            while (await _workers.RunAsync(job, job.Cancelled).ConfigureAwait(false) is { } delay)
                await Task.Delay(delay, _time, job.Cancelled).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            // Cancelled while it waited: its record has been closed by whoever did that.
        }
    }

    private JobCancellation TakeBack(ChannelJob job, JobError? reason)
    {
        var before = _records.TakeBack(job, reason);
        if (before < JobState.Done) job.Cancel();
        return before switch
        {
            JobState.Queued or JobState.Cancelled => JobCancellation.Cancelled,
            JobState.Running => JobCancellation.Asked,
            _ => JobCancellation.TooLate,
        };
    }

    private async Task IdleAsync(TimeSpan limit, CancellationToken cancellationToken)
    {
        try
        {
            await _records.IdleAsync().WaitAsync(limit, _time, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception over) when (over is TimeoutException or OperationCanceledException)
        {
            // What is still open then is in the report.
        }
    }

    private JobHandle HandleOf(ChannelJob job, bool isNew) => new(this, job.Id, isNew, job.Ended.Task);

    private string NewId() => _idStart + Interlocked.Increment(ref _lastId).ToString(CultureInfo.InvariantCulture);
}
