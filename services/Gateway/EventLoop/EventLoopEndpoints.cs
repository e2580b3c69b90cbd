using System.ComponentModel;
using System.Globalization;
using System.Text.Json;
using DistributedPatterns.EventLoop;
using DistributedPatterns.Gateway.Idempotency;
using DistributedPatterns.Gateway.Patterns;
using DistributedPatterns.Gateway.Problems;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
using Microsoft.OpenApi;

namespace DistributedPatterns.Gateway.EventLoop;

/// <summary>Maps <c>/api/event-loop/{variant}</c>.</summary>
internal sealed class EventLoopEndpoints(string variant, IServiceProvider services)
{
    private const int MaxBodyBytes = 1024 * 1024;
    private const string Example = "{\"events\":[{\"handler\":\"tally\",\"body\":{\"line\":\"one\"}}]}";

    private static readonly TimeSpan s_maxWait = TimeSpan.FromSeconds(60);
    private static readonly JsonBody s_body = new(MaxBodyBytes, "a JSON object with 'events'", Example, "Post the events by several requests.");

    private readonly VariantCalls<IEventLoop> _calls = new(variant, services);
    private readonly IRequestKeys _keys = services.GetRequiredKeyedService<IRequestKeys>(EventLoopPattern.KeysOf(variant));

    public static void Map(RouteGroupBuilder group, string variant, IServiceProvider services)
    {
        var endpoints = new EventLoopEndpoints(variant, services);
        group.MapPost("/keys/{key}/events", (HttpContext http, string key,
                [FromQuery, Description("Waits for the last event's turn as long as this, 0s to 60s, and answers with the state then.")] string? wait,
                [FromQuery, Description("The epoch that the key's partition has to be under; any unless given.")] string? epoch,
                [FromHeader(Name = IdempotencyKey.Header), Description("The same key and body again is the same post.")] string? idempotencyKey) =>
                endpoints.PostAsync(http, key, QueryParameters.Time("wait", wait, TimeSpan.Zero, s_maxWait, TimeSpan.Zero), epoch, idempotencyKey))
            .TakesQuery("wait", "epoch").AddOpenApiOperationTransformer(async (operation, context, cancellationToken) => operation.RequestBody = new OpenApiRequestBody
            {
                Content = new Dictionary<string, OpenApiMediaType>
                {
                    ["application/json"] = new() { Schema = await context.GetOrCreateSchemaAsync(typeof(EventsSubmission), cancellationToken: cancellationToken) },
                },
            })
            .WithSummary("Takes events for a key on: they have their turns in this order.")
            .Produces<EventsAccepted>(StatusCodes.Status202Accepted).Produces<KeyState>();
        group.MapGet("/keys/{key}", (string key, CancellationToken cancellationToken) => endpoints.ReadAsync(key, cancellationToken))
            .TakesQuery().WithSummary("Reads the state of a key.");
        group.MapGet("/partitions", async (CancellationToken cancellationToken) => TypedResults.Ok((await endpoints.StatusAsync(cancellationToken)).Partitions))
            .TakesQuery().WithSummary("Shows the partitions: owner, epoch, what waits and since when, and the slowest turn.");
        group.MapGet("/stats", async (CancellationToken cancellationToken) => TypedResults.Ok(StatsOf(await endpoints.StatusAsync(cancellationToken))))
            .TakesQuery().WithSummary("Reads what has become of all events.");
    }

    private async Task<Results<Accepted<EventsAccepted>, Ok<KeyState>>> PostAsync(HttpContext http, string key, TimeSpan wait, string? epoch, string? idempotencyKey)
    {
        var post = await ReadAsync(http, key, epoch);
        if (idempotencyKey is not null)
        {
            IdempotencyKey.Check(idempotencyKey);
            var fingerprint = IdempotencyKey.FingerprintOf(JsonSerializer.SerializeToUtf8Bytes(
                new KeyedEvents(key, [.. post.Events.Select(static e => new EventSubmission(e.Handler, e.Body))]), EventLoopJson.Default.KeyedEvents));
            if (!await _calls.CallAsync(async (_, _) => await _keys.IsSameAsync(idempotencyKey, fingerprint), http.RequestAborted))
                throw new ProblemException(ProblemKind.IdempotencyMismatch, $"The key '{idempotencyKey}' stands for another request than this one for key '{Text.Shorten(key)}'.");
            post = post with { Id = idempotencyKey };
        }
        if (wait > TimeSpan.Zero)
        {
            var loop = await _calls.CallAsync((loop, _) => Task.FromResult(loop), http.RequestAborted);
            try
            {
                return TypedResults.Ok(await loop.AskAsync(post, wait, http.RequestAborted));
            }
            catch (AskTimedOutException late) when (late.Receipt is { } taken)
            {
                return Accepted(http, key, taken);
            }
            catch (AskTimedOutException late)
            {
                throw new ProblemException(ProblemKind.DeadlineExceeded, late.Message, late);
            }
        }
        return Accepted(http, key, await _calls.CallAsync((loop, token) => loop.PostAsync(post, token).AsTask(), http.RequestAborted));
    }

    private static async Task<PostRequest> ReadAsync(HttpContext http, string key, string? epoch)
    {
        var submission = await s_body.ReadAsync(http, EventLoopJson.Default.EventsSubmission);
        if (submission.Events is not { Count: > 0 } events) throw new ProblemException(ProblemKind.InvalidEvents, $"'events' takes 1 to {PostRequest.MaxEvents} events. Send {Example}.");
        var wanted = 0L;
        if (epoch is not null && !long.TryParse(epoch, NumberStyles.None, CultureInfo.InvariantCulture, out wanted))
            throw new ProblemException(ProblemKind.InvalidParameter, $"Parameter 'epoch' takes a number that GET partitions shows, not '{Text.Shorten(epoch)}'.");
        return new PostRequest(key, [.. events.Select(static (e, i) => new LoopEvent(
            e?.Handler ?? throw new ProblemException(ProblemKind.InvalidEvents, $"events[{i}] has no 'handler'. Send {Example}."),
            e.Body ?? throw new ProblemException(ProblemKind.InvalidEvents, $"events[{i}] has no 'body'. Send {Example}.")))])
        { Epoch = epoch is null ? null : wanted };
    }

    private Accepted<EventsAccepted> Accepted(HttpContext http, string key, PostReceipt receipt)
    {
        if (!receipt.IsNew) http.Response.Headers["Idempotent-Replayed"] = "true";
        var location = $"/api/event-loop/{variant}/keys/{key}";
        return TypedResults.Accepted(location, new EventsAccepted(key, receipt.Partition, receipt.Position, location));
    }

    private async Task<Ok<KeyState>> ReadAsync(string key, CancellationToken cancellationToken) => TypedResults.Ok(
        await _calls.CallAsync((loop, token) => loop.ReadAsync(key, token).AsTask(), cancellationToken)
        ?? throw new ProblemException(ProblemKind.KeyNotFound, $"Key '{Text.Shorten(key)}' has no state: no event of it was handled yet, or its last one ended it."));

    private Task<EventLoopStatus> StatusAsync(CancellationToken cancellationToken) => _calls.CallAsync((loop, token) => loop.GetStatusAsync(token).AsTask(), cancellationToken);

    private static EventLoopStats StatsOf(EventLoopStatus status) => new(
        status.Ledger, status.Counters, status.Partitions.Select(one => one.SlowestTurn).Where(turn => turn is not null).MaxBy(turn => turn!.Took),
        status.Partitions.Select(one => one.LastError).FirstOrDefault(error => error is not null));
}
