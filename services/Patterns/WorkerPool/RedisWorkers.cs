using System.Collections.Concurrent;
using System.Threading.Channels;
using DistributedPatterns.ProducerConsumer;
using DistributedPatterns.Redis;
using DistributedPatterns.WorkerPool.Engine;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace DistributedPatterns.WorkerPool;

/// <summary>The workers of this process: takes jobs from the queue, runs as many at the same time as the pool's size says, reports what it runs.</summary>
/// <remarks>
/// Leases are renewed by the queue's one task, never by the jobs. When the process is asked to stop it takes nothing more, goes on for
/// <see cref="WorkerPoolOptions.ShutdownLimit"/>, then cancels and hands back what still runs; the attempt does not count.
/// </remarks>
internal sealed partial class RedisWorkers : BackgroundService
{
    private readonly ConcurrentDictionary<int, RedisJobRun> _running = new();
    private readonly IWorkQueue<JobEnvelope> _queue;
    private readonly RedisWorkerRegistry _registry;
    private readonly JobCatalog _catalog;
    private readonly RedisWorkerPoolOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger<RedisWorkers> _logger;
    private readonly string _name;
    private readonly Channel<bool> _changed = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private CancellationTokenSource _taking = new(); // cancelled while nothing is to be taken
    private CancellationTokenSource _handBack = new(); // cancelled when what runs is to be handed back
    private int _size;

    public RedisWorkers(
        IWorkQueue<JobEnvelope> queue, RedisWorkerRegistry registry, JobCatalog catalog, string name,
        IOptions<RedisWorkerPoolOptions> options, TimeProvider time, ILogger<RedisWorkers> logger)
    {
        (_queue, _registry, _catalog, _options, _time, _logger) = (queue, registry, catalog, options.Value, time, logger);
        // A process that was started again must not be taken for the one that died.
        _name = $"{name}-{Guid.NewGuid():N}"[..(name.Length + 5)];
        _size = _options.Size;
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        await Task.Yield();
        using var stopReporting = new CancellationTokenSource();
        var reporting = ReportAsync(stopReporting.Token);
        await TakeAsync(stoppingToken).ConfigureAwait(false);
        await DrainAsync().ConfigureAwait(false);
        await stopReporting.CancelAsync().ConfigureAwait(false);
        await reporting.ConfigureAwait(false);
    }

    private async Task TakeAsync(CancellationToken stopping)
    {
        while (!stopping.IsCancellationRequested)
        {
            var free = Volatile.Read(ref _size) - _running.Count;
            var taking = _taking;
            if (free <= 0 || taking.IsCancellationRequested)
            {
                // Woken by a job that ends, a new size, a resume, or at the latest by the report that learns of them.
                await ((Task)_changed.Reader.ReadAsync(stopping).AsTask()).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                continue;
            }
            using var either = CancellationTokenSource.CreateLinkedTokenSource(stopping, taking.Token);
            try
            {
                foreach (var delivery in await _queue.ReserveAsync(free, either.Token).ConfigureAwait(false)) Start(delivery);
            }
            catch (OperationCanceledException) when (either.IsCancellationRequested)
            {
                // What was on its way to this process goes back untried.
            }
            catch (Exception error) when (RedisRetry.IsOutage(error))
            {
                LogNotTaken(error.Message);
            }
        }
    }

    private void Start(Delivery<JobEnvelope> delivery)
    {
        var slot = 1;
        while (_running.ContainsKey(slot)) slot++;
        var run = new RedisJobRun(delivery, $"{_name}/{slot}", _catalog, _queue, _time, _logger);
        _running[slot] = run; // only this loop adds
        run.Start(() =>
        {
            _running.TryRemove(slot, out _);
            _changed.Writer.TryWrite(true);
        }, _handBack.Token);
    }

    private async Task ReportAsync(CancellationToken stop)
    {
        using var bell = _registry.Listen();
        while (!stop.IsCancellationRequested)
        {
            try
            {
                Obey(await _registry.BeatAsync(_name, Report()).ConfigureAwait(false));
            }
            catch (Exception error) when (RedisRetry.IsOutage(error))
            {
                LogNotReported(error.Message);
            }
            await bell.WaitAsync(_options.ReportEvery, stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
        try
        {
            await _registry.LeaveAsync(_name).ConfigureAwait(false);
        }
        catch (Exception error) when (RedisRetry.IsOutage(error))
        {
            LogNotReported(error.Message); // its silence takes it off the list
        }
    }

    private void Obey(RedisPoolControl control)
    {
        var size = control.Size > 0 ? control.Size : _options.Size;
        var isNew = Interlocked.Exchange(ref _size, size) != size;
        if (control.IsPaused != _taking.IsCancellationRequested)
        {
            isNew = true;
            if (control.IsPaused)
            {
                _taking.Cancel();
                _handBack.Cancel();
            }
            else
            {
                _handBack = new CancellationTokenSource();
                _taking = new CancellationTokenSource();
            }
        }
        if (isNew) _changed.Writer.TryWrite(true);
    }

    private async Task DrainAsync()
    {
        var finished = _running.Count;
        await EndsAsync(_options.ShutdownLimit).ConfigureAwait(false);
        var left = _running.Count;
        if (left == 0) return;
        await _handBack.CancelAsync().ConfigureAwait(false);
        await EndsAsync(_options.StopGrace).ConfigureAwait(false);
        LogDrained(finished - left, left - _running.Count, _running.Count);
        foreach (var run in _running.Values) LogNotStopped(run.Id, run.Job, run.Since);
    }

    private async Task EndsAsync(TimeSpan limit)
    {
        try
        {
            await Task.WhenAll(_running.Values.Select(run => run.Ended)).WaitAsync(limit, _time).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            // What still runs then is handed back, and in the end reported.
        }
    }

    private WorkerReport Report() => new(
        Volatile.Read(ref _size),
        [.. _running.Select(pair => new ReportedJob(pair.Value.Id, pair.Value.Job, pair.Value.Attempt, pair.Key, (long)pair.Value.Since.TotalMilliseconds))]);

    [LoggerMessage(LogLevel.Warning, "No job can be taken: {Reason}")]
    private partial void LogNotTaken(string reason);

    [LoggerMessage(LogLevel.Debug, "This process could not report what it runs: {Reason}")]
    private partial void LogNotReported(string reason);

    [LoggerMessage(LogLevel.Warning, "The workers stopped: {Finished} jobs finished, {HandedBack} were handed back, {NotStopped} did not stop")]
    private partial void LogDrained(int finished, int handedBack, int notStopped);

    [LoggerMessage(LogLevel.Warning, "Job {Id} ({Job}) does not honour its token; it has been running for {Since}. Its lease will give it back")]
    private partial void LogNotStopped(string id, string job, TimeSpan since);
}
