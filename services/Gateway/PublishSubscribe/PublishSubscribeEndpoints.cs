using System.ComponentModel;
using System.Globalization;
using System.Text.Json;
using DistributedPatterns.Diagnostics;
using DistributedPatterns.Gateway.Patterns;
using DistributedPatterns.Gateway.Problems;
using DistributedPatterns.PublishSubscribe;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;

namespace DistributedPatterns.Gateway.PublishSubscribe;

/// <summary>Maps <c>/api/publish-subscribe/{variant}</c>.</summary>
internal sealed class PublishSubscribeEndpoints(string variant, IServiceProvider services)
{
    private const int MaxPayloadBytes = 60 * 1024; // a topic takes 64 KiB with the subject
    private const int MaxLast = 10_000;
    private const string LastEventId = "Last-Event-ID";

    private static readonly JsonBody s_body = new(MaxPayloadBytes, "JSON", "{\"order\":17}", "Store it elsewhere and publish where it lies.");

    private static readonly (string Name, OverflowPolicy Policy)[] s_policies =
    [
        ("drop-oldest", OverflowPolicy.DropOldest), ("drop-newest", OverflowPolicy.DropNewest), ("latest", OverflowPolicy.Latest), ("wait", OverflowPolicy.Wait),
        ("disconnect", OverflowPolicy.Disconnect),
    ];

    private readonly VariantCalls<EventTopics> _calls = new(variant, services);
    private readonly WatcherPlaces _places = services.GetRequiredService<WatcherPlaces>();
    private readonly TopicWatchers _watchers = services.GetRequiredService<TopicWatchers>();

    private string[] Kinds => variant == Variants.Distributed ? ["kind"] : [];

    public static void Map(RouteGroupBuilder group, string variant, IServiceProvider services)
    {
        var endpoints = new PublishSubscribeEndpoints(variant, services);
        group.MapPost("/topics/{topic}", (string topic, HttpContext http,
                [FromQuery, Description("retained, which is kept for those who come later, or ephemeral; across processes only.")] string? kind) => endpoints.PublishAsync(topic, kind, http))
            .TakesQuery(endpoints.Kinds).WithSummary("Publishes the body, any JSON, under a topic such as orders.eu.created.");
        group.MapGet("/topics/{topic}/stream", (string topic, HttpContext http,
                [FromQuery, Description("last or last:n, the last n messages first, or the id of an event, to go on behind it; what comes from now on unless given.")] string? from,
                [FromQuery, Description("What a client misses that is too slow: drop-oldest, drop-newest, latest, wait or disconnect; drop-oldest unless given.")] string? overflow,
                [FromQuery, Description("How many messages may wait for this client.")] string? buffer,
                [FromQuery, Description("retained or ephemeral; across processes only.")] string? kind,
                CancellationToken cancellationToken) => endpoints.WatchAsync(topic, from, overflow, buffer, kind, http, cancellationToken))
            .TakesQuery(["from", "overflow", "buffer", .. endpoints.Kinds])
            .WithSummary("Streams the messages of a topic; * stands for one segment, ** as the last one for all that follow. Last-Event-ID goes on behind an event.")
            .Produces<TopicEvent>(StatusCodes.Status200OK, "text/event-stream");
        group.MapGet("/stats", async (CancellationToken cancellationToken) => TypedResults.Ok(await endpoints.StatsAsync(cancellationToken)))
            .TakesQuery().WithSummary("Reads each subscriber's ledger: published = received + filtered + dropped + gap + waiting.");
    }

    private async Task<Accepted<PublishedReply>> PublishAsync(string topic, string? kind, HttpContext http)
    {
        Check(topic, static topic => SubjectPattern.CheckSubject(topic));
        var isEphemeral = IsEphemeral(kind);
        var body = await s_body.ReadAsync(http, PublishSubscribeJson.Default.JsonNode);
        var payload = JsonSerializer.SerializeToUtf8Bytes(body, PublishSubscribeJson.Default.JsonNode);
        var position = await _calls.CallAsync((topics, token) => Of(topics, isEphemeral).PublishAsync(payload, topic, token).AsTask(), http.RequestAborted);
        return TypedResults.Accepted((string?)null, new PublishedReply(topic, position.ToString(), position.Sequence));
    }

    private async Task<ServerSentEventsResult<TopicEvent>> WatchAsync(
        string topic, string? from, string? overflow, string? buffer, string? kind, HttpContext http, CancellationToken cancellationToken)
    {
        Check(topic, static topic => _ = new SubjectPattern(topic));
        var isEphemeral = IsEphemeral(kind);
        var options = new SubscriptionOptions { Subjects = topic, Overflow = Policy(overflow), Start = Start(from, http.Request.Headers[LastEventId]) };
        _places.Enter(http, "Close one, or ask again later with from= and the id of the last event.");
        var subscription = await _calls.CallAsync(async (topics, token) =>
        {
            if (buffer is not null) options.Capacity = QueryParameters.Count("buffer", buffer, 1, topics.Buffer, topics.Buffer);
            var subscribed = await Of(topics, isEphemeral).SubscribeAsync(options, token);
            if (token.IsCancellationRequested) await subscribed.DisposeAsync(); // nobody waits for it any more
            return subscribed;
        }, cancellationToken);
        // Not in the stream's own end: a client that left at once never begins to read it.
        http.Response.OnCompleted(() => subscription.DisposeAsync().AsTask());
        return TypedResults.ServerSentEvents(_watchers.WatchAsync(subscription, !isEphemeral, cancellationToken));
    }

    private Task<PublishSubscribeStats> StatsAsync(CancellationToken cancellationToken) => _calls.CallAsync(async (topics, token) => new PublishSubscribeStats(
        await topics.Kept.LedgerAsync(token), topics.Ephemeral is { } ephemeral ? await ephemeral.LedgerAsync(token) : null, _places.Count), cancellationToken);

    private static ITopic<byte[]> Of(EventTopics topics, bool isEphemeral) => isEphemeral ? topics.Ephemeral! : topics.Kept;

    private bool IsEphemeral(string? kind) => variant == Variants.Distributed && QueryParameters.Choice("kind", kind, TopicKind.Retained) == TopicKind.Ephemeral;

    private static OverflowPolicy Policy(string? overflow)
    {
        if (overflow is null) return OverflowPolicy.DropOldest;
        var known = Array.Find(s_policies, known => known.Name.Equals(overflow, StringComparison.OrdinalIgnoreCase));
        return known.Name is not null ? known.Policy : throw new ProblemException(
            ProblemKind.InvalidParameter, $"Parameter 'overflow' takes {string.Join(" or ", s_policies.Select(one => one.Name))}, not '{Text.Shorten(overflow)}'.");
    }

    private static TopicStart Start(string? from, string? lastEventId)
    {
        if (!string.IsNullOrEmpty(lastEventId))
        {
            return TopicPosition.TryParse(lastEventId, CultureInfo.InvariantCulture, out var last) ? TopicStart.After(last) : throw new ProblemException(
                ProblemKind.InvalidParameter, $"Header '{LastEventId}' takes the id of an event of this stream, such as 17-5-0, not '{Text.Shorten(lastEventId)}'.");
        }
        if (from is null) return TopicStart.Now;
        if (from == "last") return TopicStart.Last(1);
        if (from.StartsWith("last:", StringComparison.Ordinal)) return TopicStart.Last(QueryParameters.Count("from=last:", from[5..], 1, MaxLast, 1));
        return TopicPosition.TryParse(from, CultureInfo.InvariantCulture, out var position) ? TopicStart.After(position) : throw new ProblemException(
            ProblemKind.InvalidParameter, $"Parameter 'from' takes last, last:n or the id of an event, such as 17-5-0, not '{Text.Shorten(from)}'.");
    }

    private static void Check(string topic, Action<string> check)
    {
        try
        {
            check(topic);
        }
        catch (ArgumentException refused)
        {
            throw new ProblemException(ProblemKind.InvalidParameter, $"'{Text.Shorten(topic)}' is no topic here. {refused.Message}");
        }
    }
}
