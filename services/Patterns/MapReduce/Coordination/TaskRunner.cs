using System.Diagnostics;
using DistributedPatterns.MapReduce.Engine;
using DistributedPatterns.ProducerConsumer;
using DistributedPatterns.Redis;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using StackExchange.Redis;

namespace DistributedPatterns.MapReduce.Coordination;

/// <summary>A worker's or a reducer's part: takes tasks of one phase from the queue, does them, and commits what it did.</summary>
/// <remarks>The commit comes before the item is settled: who dies in between leaves an item whose next holder finds the task done.</remarks>
internal sealed partial class TaskRunner(
    TaskPhase phase, MapReduceQueues queues, MapReduceCatalog catalog, MapReduceInputs inputs, IConnectionMultiplexer redis,
    RedisMapReduceOptions options, TimeProvider time, ILogger<TaskRunner> logger) : BackgroundService
{
    private static readonly TimeSpan s_backOff = TimeSpan.FromMilliseconds(500);

    private readonly RedisJobStore _store = new(redis, options, time);
    private readonly string _phase = phase == TaskPhase.Map ? MapReduceTelemetry.Map : MapReduceTelemetry.Reduce;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        await Task.Yield();
        var queue = queues.Of(phase);
        var running = new HashSet<Task>();
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                if (running.Count == options.TasksPerProcess) await Task.WhenAny(running).ConfigureAwait(false);
                running.RemoveWhere(static task => task.IsCompleted);
                foreach (var task in await queue.ReserveAsync(options.TasksPerProcess - running.Count, stoppingToken).ConfigureAwait(false))
                    running.Add(Task.Run(() => HandleAsync(task, stoppingToken), CancellationToken.None));
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                break;
            }
        }
        await Task.WhenAll(running).ConfigureAwait(false);
    }

    private async Task HandleAsync(Delivery<TaskOrder> task, CancellationToken stopping)
    {
        try
        {
            await DoAsync(task, stopping).ConfigureAwait(false);
        }
        catch (Exception error) when (RedisRetry.IsOutage(error))
        {
            LogAway(_phase, task.Payload.Task, task.Payload.Job, error.Message); // it comes back by its lease
        }
    }

    private async Task DoAsync(Delivery<TaskOrder> task, CancellationToken stopping)
    {
        await using var givenBack = task.ConfigureAwait(false);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(stopping, task.LeaseLost, task.CancelRequested);
        using var span = task.StartProcess();
        var order = task.Payload;
        var attempt = new TaskAttempt(order, task.Token, catalog, inputs, _store, options);
        var result = MapReduceTelemetry.Failed;
        try
        {
            result = await RunAsync(task, attempt, stop.Token).ConfigureAwait(false);
            if (result != MapReduceTelemetry.Committed) attempt.Discard(phase);
            await task.AckAsync(cancellationToken: CancellationToken.None).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            attempt.Discard(phase);
            result = MapReduceTelemetry.Stopped;
        }
        catch (MapReduceException hopeless) when (hopeless is not LostOutputException)
        {
            attempt.Discard(phase);
            span?.SetStatus(ActivityStatusCode.Error, hopeless.Message);
            LogHopeless(_phase, order.Task, order.Job, hopeless.Message);
            await _store.EndAsync(order.Job, null, new JobEnd(MapReduceState.Failed, hopeless.Message, null, null), CancellationToken.None).ConfigureAwait(false);
            await task.AckAsync(cancellationToken: CancellationToken.None).ConfigureAwait(false);
        }
        catch (Exception error) when (!RedisRetry.IsOutage(error))
        {
            attempt.Discard(phase);
            if (await _store.FindAsync(order.Job, CancellationToken.None).ConfigureAwait(false) is not { End: null }) return; // its folder is gone, and nobody needs this
            span?.SetStatus(ActivityStatusCode.Error, error.Message);
            LogFailed(_phase, order.Task, order.Job, error);
            await task.NackAsync(s_backOff, error.Message, CancellationToken.None).ConfigureAwait(false);
        }
        MapReduceTelemetry.CountTask(Diagnostics.Variants.Distributed, _phase, result);
    }

    private async Task<string> RunAsync(Delivery<TaskOrder> task, TaskAttempt attempt, CancellationToken cancellationToken)
    {
        var order = task.Payload;
        if (await _store.FindAsync(order.Job, cancellationToken).ConfigureAwait(false) is not { End: null }) return MapReduceTelemetry.Stopped;
        if (await _store.IsCommittedAsync(order.Job, phase, order.Task, cancellationToken).ConfigureAwait(false)) return MapReduceTelemetry.Discarded;
        var started = time.GetTimestamp();
        var counters = default(MapCounters);
        if (phase == TaskPhase.Map) counters = await attempt.MapAsync(cancellationToken).ConfigureAwait(false);
        // Settled and not committed: the coordinator makes it anew when the outputs that were lost are there again.
        else if (!await attempt.ReduceAsync(cancellationToken).ConfigureAwait(false)) return MapReduceTelemetry.Stopped;
        var commit = new TaskCommit(task.Token.ToString(System.Globalization.CultureInfo.InvariantCulture), task.Attempt, time.GetElapsedTime(started), counters);
        return await _store.CommitAsync(order.Job, phase, order.Task, commit).ConfigureAwait(false) switch
        {
            CommitOutcome.Committed => MapReduceTelemetry.Committed,
            CommitOutcome.Discarded => MapReduceTelemetry.Discarded,
            _ => MapReduceTelemetry.Stopped,
        };
    }

    [LoggerMessage(LogLevel.Warning, "{Phase} task {Task} of job {Job} cannot be done: {Reason}")]
    private partial void LogHopeless(string phase, int task, string job, string reason);

    [LoggerMessage(LogLevel.Warning, "{Phase} task {Task} of job {Job} is left to its lease: {Reason}")]
    private partial void LogAway(string phase, int task, string job, string reason);

    [LoggerMessage(LogLevel.Error, "{Phase} task {Task} of job {Job} failed")]
    private partial void LogFailed(string phase, int task, string job, Exception error);
}
