using System.Diagnostics;
using System.Diagnostics.Metrics;
using DistributedPatterns.Diagnostics;

namespace DistributedPatterns.PublishSubscribe;

/// <summary>What a topic tells: OpenTelemetry's names for messaging where it has one, <c>patterns.pubsub.*</c> for the rest.</summary>
internal sealed class TopicTelemetry(string topic, string variant, string system)
{
    private static readonly Counter<long> s_sent = PatternsTelemetry.Meter.CreateCounter<long>("messaging.client.sent.messages", "{message}", "Messages that were published.");
    private static readonly Counter<long> s_consumed = PatternsTelemetry.Meter.CreateCounter<long>("messaging.client.consumed.messages", "{message}", "Messages that subscribers read.");
    private static readonly Counter<long> s_dropped = PatternsTelemetry.Meter.CreateCounter<long>("patterns.pubsub.dropped", "{message}", "Messages that a subscriber's policy gave up.");
    private static readonly Counter<long> s_gap = PatternsTelemetry.Meter.CreateCounter<long>("patterns.pubsub.gap", "{message}", "Messages that were no longer there.");
    private static readonly Counter<long> s_disconnected = PatternsTelemetry.Meter.CreateCounter<long>("patterns.pubsub.disconnected", "{subscriber}", "Subscribers that were cut off.");
    private static readonly Counter<long> s_resets = PatternsTelemetry.Meter.CreateCounter<long>("patterns.pubsub.resets", "{reset}", "How often a topic had lost what it knew.");

    private readonly KeyValuePair<string, object?>[] _tags =
    [
        new(PatternsTelemetry.PatternTag, "publish-subscribe"),
        new(PatternsTelemetry.VariantTag, variant),
        new("messaging.system", system),
        new("messaging.destination.name", topic),
    ];

    /// <summary>Begins the span of a publish that leaves the process.</summary>
    public Activity? StartSend(int count) => PatternsTelemetry.Source.StartActivity("send", ActivityKind.Producer, default(ActivityContext), _tags)
        ?.SetTag("messaging.operation.name", "send").SetTag("messaging.operation.type", "send").SetTag("messaging.batch.message_count", count);

    /// <summary>Gets the span that messages are sent in, which whoever receives them links to.</summary>
    public static ActivityContext Sender => Activity.Current?.Context ?? default;

    /// <summary>Tells of messages that have come to this process, in a span that links to those that sent them: their traces may be over by then.</summary>
    public void Received(ReadOnlySpan<ActivityContext> senders)
    {
        if (senders.IsEmpty || !PatternsTelemetry.Source.HasListeners()) return;
        var current = Activity.Current;
        Activity.Current = null; // it is nobody's child: whoever listened first in this process has its own trace
        var links = senders.ToArray().Where(static sender => sender != default).Distinct().Select(static sender => new ActivityLink(sender));
        PatternsTelemetry.Source.StartActivity("receive", ActivityKind.Consumer, default(ActivityContext), _tags, links)
            ?.SetTag("messaging.operation.name", "receive").SetTag("messaging.operation.type", "receive").SetTag("messaging.batch.message_count", senders.Length).Dispose();
        Activity.Current = current;
    }

    public void Sent(int count)
    {
        if (s_sent.Enabled) s_sent.Add(count, _tags);
    }

    public void Consumed(int count)
    {
        if (s_consumed.Enabled && count > 0) s_consumed.Add(count, _tags);
    }

    public void Missed(TopicItemKind kind, long count, OverflowPolicy policy)
    {
        switch (kind)
        {
            case TopicItemKind.Dropped:
                s_dropped.Add(count, [.. _tags, new("policy", policy.ToString())]);
                break;
            case TopicItemKind.Gap:
                s_gap.Add(count, _tags);
                break;
            default:
                s_resets.Add(1, _tags);
                break;
        }
    }

    public void Disconnected() => s_disconnected.Add(1, _tags);
}
