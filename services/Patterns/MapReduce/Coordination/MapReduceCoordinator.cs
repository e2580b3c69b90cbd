using DistributedPatterns.MapReduce.Engine;
using DistributedPatterns.ProducerConsumer;
using DistributedPatterns.Redis;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using StackExchange.Redis;

namespace DistributedPatterns.MapReduce.Coordination;

/// <summary>A producer's part: takes jobs from the queue and coordinates each until it has ended, or somebody else has it.</summary>
/// <remarks>A job is an item like any other: who holds it coordinates. When that process dies its lease runs out, and the next holder goes on from the commits.</remarks>
internal sealed partial class MapReduceCoordinator(
    MapReduceQueues queues, MapReduceCatalog catalog, MapReduceInputs inputs, IConnectionMultiplexer redis,
    IOptions<RedisMapReduceOptions> options, TimeProvider time, ILogger<MapReduceCoordinator> logger) : BackgroundService
{
    private static readonly TimeSpan s_backOff = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan s_sweepEvery = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan s_strayAfter = TimeSpan.FromHours(1); // beyond what results are kept

    private readonly RedisMapReduceOptions _options = options.Value;
    private readonly RedisJobStore _store = new(redis, options.Value, time);
    private long _swept;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        await Task.Yield();
        var doorbell = new RedisDoorbell(redis, _store.BellChannel, time);
        await using var closing = doorbell.ConfigureAwait(false);
        var running = new HashSet<Task>();
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                if (running.Count == _options.JobsPerProducer) await Task.WhenAny(running).ConfigureAwait(false);
                running.RemoveWhere(static job => job.IsCompleted);
                foreach (var order in await queues.Jobs.ReserveAsync(_options.JobsPerProducer - running.Count, stoppingToken).ConfigureAwait(false))
                    running.Add(HandleAsync(order, doorbell, stoppingToken));
                Sweep();
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                break;
            }
        }
        await Task.WhenAll(running).ConfigureAwait(false);
    }

    private async Task HandleAsync(Delivery<JobOrder> order, RedisDoorbell doorbell, CancellationToken stopping)
    {
        try
        {
            await DriveAsync(order, doorbell, stopping).ConfigureAwait(false);
        }
        catch (Exception error) when (RedisRetry.IsOutage(error))
        {
            LogAway(order.Payload.Job, error.Message); // it comes back by its lease
        }
    }

    private async Task DriveAsync(Delivery<JobOrder> order, RedisDoorbell doorbell, CancellationToken stopping)
    {
        await using var givenBack = order.ConfigureAwait(false); // unsettled: to the next holder
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(stopping, order.LeaseLost);
        using var span = order.StartProcess();
        var job = order.Payload.Job;
        try
        {
            var driver = new JobDriver(job, order.Token, order.Attempt, catalog, inputs, _store, queues.Maps, queues.Reduces, doorbell, _options, time, logger);
            var end = await driver.RunAsync(stop.Token).ConfigureAwait(false);
            await SettleAsync(order, end, stop.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            LogLeft(job, order.LeaseLost.IsCancellationRequested ? "its lease is lost" : "this process stops");
        }
        catch (Exception error) when (!RedisRetry.IsOutage(error))
        {
            LogFailed(job, error);
            await order.NackAsync(s_backOff, error.Message, CancellationToken.None).ConfigureAwait(false);
        }
    }

    private async Task SettleAsync(Delivery<JobOrder> order, JobEnd? end, CancellationToken cancellationToken)
    {
        if (end?.State == MapReduceState.Cancelled)
        {
            await queues.Jobs.CancelAsync(order.Id, cancellationToken).ConfigureAwait(false); // so that giving it back ends it
            await order.ReleaseAsync(cancellationToken).ConfigureAwait(false);
        }
        else if (end?.State == MapReduceState.Failed)
        {
            await queues.Jobs.SettleAsync([Settlement.Fail(order)], cancellationToken).ConfigureAwait(false);
        }
        else
        {
            await order.AckAsync(cancellationToken: cancellationToken).ConfigureAwait(false); // done, or nobody knows the job any more
        }
        if (end is null) return;
        var status = new MapReduceStatus(order.Payload.Job, "", "", end.State) { Report = end.Report };
        MapReduceTelemetry.CountJob(Diagnostics.Variants.Distributed, status);
        LogEnded(order.Payload.Job, end.State, end.Error ?? "no error");
    }

    private void Sweep()
    {
        if (_swept != 0 && time.GetElapsedTime(_swept) < s_sweepEvery) return;
        _swept = time.GetTimestamp();
        try
        {
            JobFolder.Sweep(inputs.Work, time.GetUtcNow().UtcDateTime - _options.KeepResults - s_strayAfter, static _ => false);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            LogNotSwept(error.Message);
        }
    }

    [LoggerMessage(LogLevel.Information, "Job {Job} has ended as {State}: {Reason}")]
    private partial void LogEnded(string job, MapReduceState state, string reason);

    [LoggerMessage(LogLevel.Information, "Job {Job} is left to the next coordinator: {Reason}")]
    private partial void LogLeft(string job, string reason);

    [LoggerMessage(LogLevel.Warning, "Job {Job} is left to its lease: {Reason}")]
    private partial void LogAway(string job, string reason);

    [LoggerMessage(LogLevel.Error, "Job {Job} could not be coordinated")]
    private partial void LogFailed(string job, Exception error);

    [LoggerMessage(LogLevel.Warning, "Old files of jobs could not be deleted: {Reason}")]
    private partial void LogNotSwept(string reason);
}
