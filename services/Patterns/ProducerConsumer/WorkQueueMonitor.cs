using System.Collections.Immutable;
using DistributedPatterns.Redis;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace DistributedPatterns.ProducerConsumer;

/// <summary>A queue that wants to be looked at now and then.</summary>
internal interface IMonitoredQueue
{
    /// <summary>Moves what is due and records how deep the queue is.</summary>
    Task LookAsync(CancellationToken cancellationToken);
}

/// <summary>Looks at each queue that this process uses every second: nothing that is due lies there only because no consumer is alive.</summary>
internal sealed partial class WorkQueueMonitor(TimeProvider clock, ILogger<WorkQueueMonitor> logger) : BackgroundService
{
    private static readonly TimeSpan s_every = TimeSpan.FromSeconds(1);

    private ImmutableArray<IMonitoredQueue> _queues = [];

    /// <summary>Looks at a queue from now on. Called by whoever makes it: a queue that nobody uses yet needs no Redis.</summary>
    public void Follow(IMonitoredQueue queue) => ImmutableInterlocked.Update(ref _queues, static (all, one) => all.Add(one), queue);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(s_every, clock);
        try
        {
            while (await timer.WaitForNextTickAsync(stoppingToken).ConfigureAwait(false))
                foreach (var queue in _queues) await LookAsync(queue, stoppingToken).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The host stops.
        }
    }

    private async Task LookAsync(IMonitoredQueue queue, CancellationToken stoppingToken)
    {
        try
        {
            await queue.LookAsync(stoppingToken).ConfigureAwait(false);
        }
        catch (Exception e) when (RedisRetry.IsOutage(e))
        {
            LogNotSeen(e.Message); // the next look is a second away
        }
    }

    [LoggerMessage(LogLevel.Debug, "A queue could not be looked at: {Reason}")]
    private partial void LogNotSeen(string reason);
}
