using System.Diagnostics;
using System.Diagnostics.Metrics;
using DistributedPatterns.Diagnostics;

namespace DistributedPatterns.ProducerConsumer;

/// <summary>What a queue tells: OpenTelemetry's names for messaging where it has one, <c>patterns.*</c> for the rest.</summary>
internal sealed class QueueTelemetry
{
    private static readonly Counter<long> s_sent = PatternsTelemetry.Meter.CreateCounter<long>("messaging.client.sent.messages", "{message}", "Items that producers handed in, by outcome.");
    private static readonly Counter<long> s_consumed = PatternsTelemetry.Meter.CreateCounter<long>("messaging.client.consumed.messages", "{message}", "Items that were handed out.");
    private static readonly Counter<long> s_redeliveries = PatternsTelemetry.Meter.CreateCounter<long>("patterns.queue.redeliveries", "{message}", "Items that were handed out again, by reason.");
    private static readonly Counter<long> s_fenced = PatternsTelemetry.Meter.CreateCounter<long>("patterns.lease.fenced", "{settlement}", "Settlements refused because another one had the item by then.");
    private static readonly Gauge<long> s_depth = PatternsTelemetry.Meter.CreateGauge<long>("patterns.queue.depth", "{message}", "Items in the queue, by state.");
    private static readonly Gauge<double> s_oldestAge = PatternsTelemetry.Meter.CreateGauge<double>("patterns.queue.oldest_age", "s", "How long the item that is next in line has been in the queue.");

    private readonly KeyValuePair<string, object?>[] _tags;

    public QueueTelemetry(string queue, string variant, string system) => _tags =
    [
        new(PatternsTelemetry.PatternTag, "producer-consumer"),
        new(PatternsTelemetry.VariantTag, variant),
        new("messaging.system", system),
        new("messaging.destination.name", queue),
    ];

    /// <summary>Gets whether anybody looks at the depth.</summary>
    public static bool IsDepthWatched => s_depth.Enabled || s_oldestAge.Enabled;

    /// <summary>Begins the span of an enqueue; what is created in it is linked to by the work.</summary>
    public Activity? StartSend(int count) => Start("send", ActivityKind.Producer, count, default);

    /// <summary>Begins the span of an item's work, in the consumer's own trace and linked to its creator.</summary>
    public Activity? StartProcess(Delivery delivery)
    {
        var span = Start("process", ActivityKind.Consumer, 1, delivery.CreatedIn);
        span?.SetTag("messaging.message.id", delivery.Id);
        return span;
    }

    public void Sent(EnqueueOutcome outcome)
    {
        if (s_sent.Enabled) s_sent.Add(1, [.. _tags, new("patterns.queue.outcome", Name(outcome))]);
    }

    public void Consumed(Delivery delivery)
    {
        if (s_consumed.Enabled) s_consumed.Add(1, _tags);
        if (delivery.Redelivery != RedeliveryReason.None && s_redeliveries.Enabled) s_redeliveries.Add(1, [.. _tags, new("reason", Name(delivery.Redelivery))]);
    }

    public void Settled(SettleVerb verb, SettleOutcome outcome)
    {
        if (outcome == SettleOutcome.Stale && verb != SettleVerb.Extend) s_fenced.Add(1, _tags);
    }

    public void Depth(WorkQueueLedger ledger)
    {
        foreach (var (state, n) in (ReadOnlySpan<(string, long)>)[("ready", ledger.Ready), ("delayed", ledger.Delayed), ("leased", ledger.Leased), ("dead", ledger.Dead)])
            s_depth.Record(n, [.. _tags, new("state", state)]);
        s_oldestAge.Record(ledger.OldestAge.TotalSeconds, _tags);
    }

    private Activity? Start(string operation, ActivityKind kind, int count, ActivityContext link)
    {
        if (!PatternsTelemetry.Source.HasListeners()) return null;
        ActivityLink[] links = link.TraceId == default ? [] : [new ActivityLink(link)];
        var span = PatternsTelemetry.Source.StartActivity(operation, kind, default(ActivityContext), _tags, links);
        span?.SetTag("messaging.operation.name", operation).SetTag("messaging.operation.type", operation);
        if (count > 1) span?.SetTag("messaging.batch.message_count", count);
        return span;
    }

    private static string Name(EnqueueOutcome outcome) => outcome switch
    {
        EnqueueOutcome.Accepted => "accepted",
        EnqueueOutcome.Full => "full",
        EnqueueOutcome.Duplicate => "duplicate",
        EnqueueOutcome.Dead => "dead",
        _ => "sealed",
    };

    private static string Name(RedeliveryReason reason) => reason switch
    {
        RedeliveryReason.Nacked => "nacked",
        RedeliveryReason.Released => "released",
        RedeliveryReason.Expired => "expired",
        RedeliveryReason.NeverDelivered => "never_delivered",
        _ => "replayed",
    };
}
