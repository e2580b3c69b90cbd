using System.Net.ServerSentEvents;
using System.Runtime.CompilerServices;
using System.Text.Json;
using DistributedPatterns.PublishSubscribe;

namespace DistributedPatterns.Gateway.PublishSubscribe;

/// <summary>Turns a subscription into server-sent events, whose ids are positions: a client that comes back goes on behind the last one it saw.</summary>
/// <remarks>What a slow client does not take stays in its subscription, whose policy holds; nothing else is kept for it.</remarks>
internal sealed class TopicWatchers(TimeProvider time, IHostApplicationLifetime lifetime)
{
    private static readonly TimeSpan s_heartbeat = TimeSpan.FromSeconds(15);
    private static readonly TimeSpan s_reconnectAfter = TimeSpan.FromSeconds(2);

    /// <summary>Yields <c>open</c>, then messages and marks, a <c>heartbeat</c> after 15 seconds without one, and <c>ended</c> when the subscriber was cut off.</summary>
    /// <param name="subscription">The caller's, who disposes it.</param>
    /// <param name="canGoOn">Whether positions mean something to the next subscription.</param>
    /// <param name="cancellationToken">The client left.</param>
    public async IAsyncEnumerable<SseItem<TopicEvent>> WatchAsync(
        ISubscription<byte[]> subscription, bool canGoOn, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, lifetime.ApplicationStopping);
        yield return Event("open", new TopicEvent(subscription.Position.Sequence), s_reconnectAfter);
        var shownAt = time.GetTimestamp();
        while (true)
        {
            // From event to event: what comes under other topics also ends a wait.
            var left = s_heartbeat - time.GetElapsedTime(shownAt);
            var (isReadable, reason) = await WaitAsync(subscription, left > TimeSpan.Zero ? left : TimeSpan.Zero, stop.Token);
            if (reason is not null) yield return Event("ended", new TopicEvent(subscription.Position.Sequence, Reason: reason));
            if (isReadable is false) yield break;
            if (isReadable is null)
            {
                yield return Event("heartbeat", new TopicEvent(subscription.Position.Sequence));
                shownAt = time.GetTimestamp();
            }
            while (!stop.IsCancellationRequested && subscription.TryRead(out var item))
            {
                yield return item.IsMessage
                    ? Event("message", new TopicEvent(item.Sequence, item.Subject, JsonElement.Parse(item.Message)))
                    : Event(item.Kind.ToString().ToLowerInvariant(), new TopicEvent(item.Sequence, Missed: item.Kind == TopicItemKind.Reset ? null : item.Missed));
                shownAt = time.GetTimestamp();
            }
        }

        SseItem<TopicEvent> Event(string type, TopicEvent data, TimeSpan? reconnectAfter = null) =>
            new(data, type) { EventId = canGoOn ? subscription.Position.ToString() : null, ReconnectionInterval = reconnectAfter };
    }

    /// <summary>Waits for something to read: true; for nothing any more: false, with the reason if the subscriber was cut off; or for a heartbeat to be due.</summary>
    private async Task<(bool? IsReadable, string? Reason)> WaitAsync(ISubscription<byte[]> subscription, TimeSpan beatAfter, CancellationToken stop)
    {
        if (stop.IsCancellationRequested) return (false, null);
        using var due = new CancellationTokenSource(beatAfter, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(stop, due.Token);
        try
        {
            return (await subscription.WaitToReadAsync(either.Token), null);
        }
        catch (OperationCanceledException)
        {
            return (stop.IsCancellationRequested ? false : null, null);
        }
        catch (SubscriberDisconnectedException cutOff)
        {
            return (false, cutOff.Message);
        }
    }
}
