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

/// <summary>Looks at each queue of this process every second: nothing that is due lies there only because no consumer is alive.</summary>
internal sealed partial class WorkQueueMonitor(IEnumerable<IMonitoredQueue> queues, TimeProvider clock, ILogger<WorkQueueMonitor> logger) : BackgroundService
{
    private static readonly TimeSpan s_every = TimeSpan.FromSeconds(1);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(s_every, clock);
        while (await timer.WaitForNextTickAsync(stoppingToken).ConfigureAwait(false))
        {
            foreach (var queue in queues)
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
        }
    }

    [LoggerMessage(LogLevel.Debug, "A queue could not be looked at: {Reason}")]
    private partial void LogNotSeen(string reason);
}
