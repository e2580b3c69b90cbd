using DistributedPatterns.Pipeline;
using DistributedPatterns.RateLimiting;
using DistributedPatterns.Redis;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace DistributedPatterns.ProducerConsumer.Feeds;

/// <summary>The producer: takes orders from one queue, and puts records on another at the rate that was ordered.</summary>
/// <remarks>
/// An order is an item like any other: who holds it produces. When that process dies, its lease runs out, and the next holder goes on where
/// the tally says. The records between the last count and the death are enqueued again under the same ids, which adds nothing.
/// </remarks>
internal sealed partial class FeedProducer(
    IWorkQueue<FeedOrder> orders, IWorkQueue<FeedRecord> records, IFeedTally tally, PipelineInputs inputs, TimeProvider time, ILogger<FeedProducer> logger) : BackgroundService
{
    public const string Input = "unicode-data";

    private const int AtOnce = 8; // feeds of one process
    private const int BatchesPerSecond = 20;
    private const int LargestBatch = 256;

    private static readonly TimeSpan s_backOff = TimeSpan.FromSeconds(1);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        await Task.Yield();
        var running = new HashSet<Task>();
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                if (running.Count == AtOnce) await Task.WhenAny(running).ConfigureAwait(false);
                running.RemoveWhere(static feed => feed.IsCompleted);
                foreach (var order in await orders.ReserveAsync(AtOnce - running.Count, stoppingToken).ConfigureAwait(false)) running.Add(HandleAsync(order, stoppingToken));
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                break;
            }
        }
        await Task.WhenAll(running).ConfigureAwait(false);
    }

    private async Task HandleAsync(Delivery<FeedOrder> order, CancellationToken stopping)
    {
        await using var givenBack = order.ConfigureAwait(false); // unsettled: to the next holder, or to its end when it was cancelled
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(stopping, order.LeaseLost, order.CancelRequested);
        using var span = order.StartProcess();
        try
        {
            await ProduceAsync(order.Id, order.Payload, stop.Token).ConfigureAwait(false);
            await order.AckAsync(cancellationToken: CancellationToken.None).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            LogStopped(order.Id, order.CancelRequested.IsCancellationRequested ? "it was cancelled" : order.LeaseLost.IsCancellationRequested ? "its lease is lost" : "this process stops");
        }
        catch (Exception error) when (RedisRetry.IsOutage(error))
        {
            LogAway(order.Id, error.Message); // the order comes back by its lease
        }
        catch (Exception error)
        {
            LogFailed(order.Id, error);
            await order.NackAsync(s_backOff, error.Message, CancellationToken.None).ConfigureAwait(false);
        }
    }

    private async Task ProduceAsync(string feed, FeedOrder order, CancellationToken cancellationToken)
    {
        var before = (await tally.ReadAsync(feed, cancellationToken).ConfigureAwait(false))?.Produced ?? 0;
        // A timer has a grain of a millisecond or more: fast feeds go in batches.
        var batch = Math.Clamp(order.PerSecond / BatchesPerSecond, 1, LargestBatch);
        var pacer = new LocalPacer(new PacerOptions { Interval = batch * TimeSpan.FromSeconds(1) / order.PerSecond }, time);
        await using var disposing = pacer.ConfigureAwait(false);
        var next = new List<WorkItem<FeedRecord>>(batch);
        var number = 0;
        await foreach (var line in TextLines.ReadAsync(inputs.PathOf(Input), Input, cancellationToken).ConfigureAwait(false))
        {
            if (number == order.Count) break;
            if (++number <= before) continue;
            next.Add(new(new FeedRecord(feed, number, line)) { Id = $"{feed}-{number}" });
            if (next.Count == batch || number == order.Count) await SendAsync().ConfigureAwait(false);
        }

        async Task SendAsync()
        {
            using var turn = await pacer.AcquireAsync(1, cancellationToken).ConfigureAwait(false);
            await records.EnqueueAsync(next, cancellationToken).ConfigureAwait(false); // waits while the queue is full
            await tally.SetProducedAsync(feed, number).ConfigureAwait(false);
            next.Clear();
        }
    }

    [LoggerMessage(LogLevel.Warning, "Feed {Feed} is left to its lease: {Reason}")]
    private partial void LogAway(string feed, string reason);

    [LoggerMessage(LogLevel.Information, "Feed {Feed} is given back: {Reason}")]
    private partial void LogStopped(string feed, string reason);

    [LoggerMessage(LogLevel.Error, "Feed {Feed} failed")]
    private partial void LogFailed(string feed, Exception error);
}
