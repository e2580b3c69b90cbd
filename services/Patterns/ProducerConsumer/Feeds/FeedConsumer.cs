using DistributedPatterns.Pipeline;
using DistributedPatterns.Redis;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace DistributedPatterns.ProducerConsumer.Feeds;

/// <summary>The consumer: reads each record's general category, notes it, and only then says that it is done.</summary>
/// <remarks>
/// Dying in between means that another consumer does it again and notes the same at the same place. That is why the effect of the work
/// needs no lock, no transaction with the queue, and no fence.
/// </remarks>
internal sealed partial class FeedConsumer(IWorkQueue<FeedRecord> records, IFeedTally tally, ILogger<FeedConsumer> logger) : BackgroundService
{
    /// <summary>What is counted for a line that is no valid record.</summary>
    public const string Malformed = "malformed";

    private const int AtOnce = 64; // few enough that other consumers find some, many enough that a round trip hardly counts

    public static string CategoryOf(string line)
    {
        try
        {
            return UnicodePipeline.Validate(UnicodePipeline.Parse(line)).Category;
        }
        catch (FormatException)
        {
            return Malformed;
        }
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        await Task.Yield();
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                await ConsumeAsync(await records.ReserveAsync(AtOnce, stoppingToken).ConfigureAwait(false)).ConfigureAwait(false);
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception error) when (RedisRetry.IsOutage(error))
            {
                LogAway(error.Message); // what was in hand comes back by its lease
            }
        }
    }

    private async Task ConsumeAsync(IReadOnlyList<Delivery<FeedRecord>> deliveries)
    {
        if (deliveries.Count == 0) return;
        await tally.AddAsync([.. deliveries.Select(delivery => new FeedOutcome(delivery.Payload.Feed, delivery.Payload.Number, CategoryOf(delivery.Payload.Line)))]).ConfigureAwait(false);
        await records.SettleAsync([.. deliveries.Select(delivery => Settlement.Ack(delivery))]).ConfigureAwait(false);
    }

    [LoggerMessage(LogLevel.Warning, "No record can be taken or settled: {Reason}")]
    private partial void LogAway(string reason);
}
