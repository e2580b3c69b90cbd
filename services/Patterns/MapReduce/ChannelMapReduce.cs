using System.Collections.Concurrent;
using DistributedPatterns.MapReduce.Engine;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace DistributedPatterns.MapReduce;

/// <summary>Map-reduce inside one process: mappers on the thread pool take the next split each, and keep one table over all that they map.</summary>
/// <remarks>
/// Each split is mapped once. A mapper writes sorted runs to the data folder when its memory is full and at its end; partitions are merged
/// from the runs at the same time, and the partitions into the result. The jobs end with the process, and leave nothing behind when it is disposed of.
/// </remarks>
public sealed partial class ChannelMapReduce : IMapReduce, IAsyncDisposable
{
    private static readonly TimeSpan s_strayAfter = TimeSpan.FromHours(1); // beyond what results are kept: a folder whose process died

    private readonly MapReduceCatalog _catalog;
    private readonly MapReduceInputs _inputs;
    private readonly ChannelMapReduceOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger<ChannelMapReduce> _logger;
    private readonly ConcurrentDictionary<string, ChannelMapReduceJob> _jobs = new(StringComparer.Ordinal);
    private readonly SemaphoreSlim _running;
    private readonly ITimer _sweep;
    private readonly Lock _gate = new();
    private bool _isDisposed;
    private long _started;
    private long _completed;
    private long _failed;
    private long _cancelled;

    public ChannelMapReduce(
        MapReduceCatalog catalog, MapReduceInputs inputs, IOptions<ChannelMapReduceOptions> options, TimeProvider time, ILogger<ChannelMapReduce> logger)
    {
        (_catalog, _inputs, _options, _time, _logger) = (catalog, inputs, options.Value, time, logger);
        _running = new SemaphoreSlim(_options.MaxRunning);
        _sweep = time.CreateTimer(_ => Forget(), null, _options.KeepResults / 4, _options.KeepResults / 4);
    }

    public Task<MapReduceStatus> StartAsync(MapReduceRequest request, CancellationToken cancellationToken = default)
    {
        var definition = _catalog.Check(request);
        _inputs.Find(request.Input);
        var id = request.Id ?? _options.IdPrefix + Guid.CreateVersion7().ToString("N");
        ChannelMapReduceJob job;
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_isDisposed, this);
            if (_jobs.TryGetValue(id, out var same))
                return same.Request.AsksTheSameAs(request) ? Task.FromResult(same.Status) : throw new MapReduceConflictException(id);
            if (_jobs.Values.Count(one => !one.Status.HasEnded) >= _options.MaxJobs) throw new MapReduceFullException(_options.MaxJobs);
            job = new ChannelMapReduceJob(id, request, definition, _inputs, _options, _time);
            _jobs[id] = job;
            _started++;
        }
        job.Start(_running, Ended);
        return Task.FromResult(job.Status);
    }

    public Task<MapReduceStatus?> FindAsync(string id, CancellationToken cancellationToken = default) => Task.FromResult(_jobs.GetValueOrDefault(id)?.Status);

    public async Task<MapReduceStatus?> WaitAsync(string id, CancellationToken cancellationToken = default) =>
        _jobs.TryGetValue(id, out var job) ? await job.Ended.WaitAsync(cancellationToken).ConfigureAwait(false) : null;

    public async Task<bool> CancelAsync(string id, CancellationToken cancellationToken = default) =>
        _jobs.TryGetValue(id, out var job) && await job.CancelAsync().ConfigureAwait(false);

    public Task<MapReduceResult?> OpenResultAsync(string id, CancellationToken cancellationToken = default) =>
        Task.FromResult(_jobs.TryGetValue(id, out var job) && job.Status.State == MapReduceState.Completed ? job.TryOpenResult() : null);

    public Task<MapReduceStats> GetStatsAsync(CancellationToken cancellationToken = default)
    {
        lock (_gate)
        {
            var waiting = _jobs.Values.Count(job => job.Status.State == MapReduceState.Waiting);
            return Task.FromResult(new MapReduceStats(_started, waiting, _started - waiting - _completed - _failed - _cancelled, _completed, _failed, _cancelled));
        }
    }

    /// <summary>Cancels what runs, waits for its end, and deletes all results.</summary>
    public async ValueTask DisposeAsync()
    {
        lock (_gate) _isDisposed = true;
        await _sweep.DisposeAsync().ConfigureAwait(false);
        foreach (var job in _jobs.Values) await job.CancelAsync().ConfigureAwait(false);
        foreach (var job in _jobs.Values)
        {
            await job.Ended.ConfigureAwait(false);
            job.Forget();
        }
    }

    private void Ended(ChannelMapReduceJob job, Exception? error)
    {
        lock (_gate)
        {
            // With the state, so that every reading of the counts adds up.
            var status = job.Publish();
            if (status.State == MapReduceState.Completed) _completed++;
            else if (status.State == MapReduceState.Failed) _failed++;
            else _cancelled++;
            MapReduceTelemetry.CountJob(Diagnostics.Variants.Channel, status);
        }
        if (error is not null and not MapReduceException) LogFailed(job.Status.Id, error);
        Forget();
    }

    private void Forget()
    {
        ChannelMapReduceJob[] old;
        lock (_gate)
        {
            var ended = _jobs.Values.Where(job => job.Status.HasEnded).OrderByDescending(job => job.EndedAt).ToArray();
            old = [.. ended.Where((job, place) => place >= _options.MaxKept || _time.GetElapsedTime(job.EndedAt) > _options.KeepResults)];
            foreach (var job in old) _jobs.TryRemove(job.Status.Id, out _);
        }
        foreach (var job in old) job.Forget();
        try
        {
            JobFolder.Sweep(_inputs.Work, _time.GetUtcNow().UtcDateTime - _options.KeepResults - s_strayAfter, _jobs.ContainsKey);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            LogNotSwept(error.Message); // the next one tries again
        }
    }

    [LoggerMessage(LogLevel.Error, "Job {Job} failed")]
    private partial void LogFailed(string job, Exception error);

    [LoggerMessage(LogLevel.Warning, "Old files of jobs could not be deleted: {Reason}")]
    private partial void LogNotSwept(string reason);
}
