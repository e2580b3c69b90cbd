using System.ComponentModel;
using System.Globalization;
using System.Text.Json;
using DistributedPatterns.Diagnostics;
using DistributedPatterns.Gateway.Idempotency;
using DistributedPatterns.Gateway.Patterns;
using DistributedPatterns.Gateway.Problems;
using DistributedPatterns.Members;
using DistributedPatterns.ProducerConsumer;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Extensions.Options;

namespace DistributedPatterns.Gateway.ProducerConsumer;

/// <summary>Maps <c>/api/producer-consumer/{variant}</c>: HTTP clients are the producers and the consumers.</summary>
internal sealed class ProducerConsumerEndpoints
{
    private static readonly TimeSpan s_maxWait = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan s_shortestLease = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan s_longestLease = TimeSpan.FromMinutes(10);
    private static readonly TimeSpan s_lease = TimeSpan.FromSeconds(15);
    private static readonly TimeSpan s_maxDelay = TimeSpan.FromHours(1);

    private readonly VariantCalls<ItemQueue> _calls;
    private readonly IRequestKeys _keys;
    private readonly TimeProvider _time;
    private readonly string _idPrefix;

    private ProducerConsumerEndpoints(string variant, IServiceProvider services)
    {
        _calls = new VariantCalls<ItemQueue>(variant, services);
        _keys = services.GetRequiredKeyedService<IRequestKeys>(ProducerConsumerPattern.KeysOf(variant));
        _time = services.GetRequiredService<TimeProvider>();
        _idPrefix = variant == Variants.Channel ? OwnerFilter.PrefixOf(services.GetRequiredService<IOptions<MembersOptions>>().Value) : "";
    }

    public static void Map(RouteGroupBuilder group, string variant, IServiceProvider services)
    {
        var endpoints = new ProducerConsumerEndpoints(variant, services);
        group.MapPost("/items", (HttpContext http, [FromHeader(Name = IdempotencyKey.Header), Description("Becomes part of the items' ids: the same key and body get the first reply again.")] string? key) =>
                endpoints.EnqueueAsync(http, key))
            .TakesQuery().WithSummary("Hands in 1 to 100 items.").Produces<ItemsReply>(StatusCodes.Status202Accepted);
        group.MapPost("/reserve", (
                [FromQuery, Description("How many at most, 1 to 100; 1 unless given.")] string? n,
                [FromQuery, Description("Waits for the first one as long as this, 0s to 30s; 0s unless given.")] string? wait,
                [FromQuery, Description("How long you keep them without extending, 500ms to 10m; 15s unless given.")] string? lease, CancellationToken cancellationToken) =>
                endpoints.ReserveAsync(QueryParameters.Count("n", n, 1, 100, 1), QueryParameters.Time("wait", wait, TimeSpan.Zero, s_maxWait, TimeSpan.Zero), Lease(lease), cancellationToken))
            .TakesQuery("n", "wait", "lease").WithSummary("Takes items. Settle each with its token before the lease runs out.");

        var item = group.MapGroup("/items/{id}");
        if (variant == Variants.Channel) item.AddEndpointFilter(services.GetRequiredService<OwnerFilter>());
        item.MapGet("", (string id, CancellationToken cancellationToken) => endpoints.FindAsync(id, cancellationToken))
            .TakesQuery().WithSummary("Reads where an item is.");
        item.MapPost("/ack", (string id, [FromQuery] string? token, CancellationToken cancellationToken) =>
                endpoints.SettleAsync(Settlement.Ack(id, Token(token)), cancellationToken))
            .TakesQuery("token").WithSummary("Says that the work is done.");
        item.MapPost("/nack", (string id, [FromQuery] string? token, [FromQuery, Description("When it may come again, 0s to 60m; 1s unless given.")] string? delay,
                [FromQuery, Description("Why, for people.")] string? reason, CancellationToken cancellationToken) =>
                endpoints.SettleAsync(Settlement.Nack(id, Token(token), QueryParameters.Time("delay", delay, TimeSpan.Zero, s_maxDelay, TimeSpan.FromSeconds(1)), reason ?? ""), cancellationToken))
            .TakesQuery("token", "delay", "reason").WithSummary("Says that the work failed: it comes again, or is dead after its last attempt.");
        item.MapPost("/extend", (string id, [FromQuery] string? token, [FromQuery, Description("From now on, 500ms to 10m; 15s unless given.")] string? lease, CancellationToken cancellationToken) =>
                endpoints.SettleAsync(Settlement.Extend(id, Token(token), Lease(lease)), cancellationToken))
            .TakesQuery("token", "lease").WithSummary("Keeps an item in hand for longer.");

        group.MapGet("/dead", ([FromQuery] string? offset, [FromQuery] string? count, CancellationToken cancellationToken) =>
                endpoints.PeekDeadAsync(QueryParameters.Count("offset", offset, 0, 1_000_000, 0), QueryParameters.Count("count", count, 1, 100, 20), cancellationToken))
            .TakesQuery("offset", "count").WithSummary("Lists dead letters, the oldest first.");
        group.MapPost("/dead/replay", async ([FromQuery, Description("How many at most, 1 to 1000; 100 unless given.")] string? max, CancellationToken cancellationToken) =>
            {
                var limit = QueryParameters.Count("max", max, 1, 1_000, 100);
                return TypedResults.Ok(await endpoints.CallAsync((queue, token) => queue.ReplayDeadAsync(limit, token), cancellationToken));
            })
            .TakesQuery("max").WithSummary("Puts the oldest dead letters back.");
        group.MapGet("/stats", async (CancellationToken cancellationToken) => TypedResults.Ok(await endpoints.CallAsync((queue, token) => queue.LedgerAsync(token), cancellationToken)))
            .TakesQuery().WithSummary("Reads the ledger in one step: in = ready + delayed + leased + dead + dropped + done + cancelled.");
    }

    private async Task<Accepted<ItemsReply>> EnqueueAsync(HttpContext http, string? key)
    {
        IdempotencyKey.Check(key);
        var items = await ItemRequests.ReadAsync(http, _idPrefix, key);
        var (results, capacity) = await CallAsync(async (queue, token) =>
        {
            if (key is not null && !await _keys.IsSameAsync(key, ItemRequests.FingerprintOf(items)))
                throw new ProblemException(ProblemKind.IdempotencyMismatch, $"The key '{key}' stands for other items than these.");
            return (await queue.EnqueueAsync(items, token), queue.Capacity);
        }, http.RequestAborted);
        var full = results.FirstOrDefault(result => result.Outcome is EnqueueOutcome.Full);
        if (full.Id is not null && !results.Any(result => result.Outcome is EnqueueOutcome.Accepted or EnqueueOutcome.Duplicate))
            throw new ProblemException(ProblemKind.Full, $"The queue holds {full.Depth:N0} of {capacity:N0} items (Patterns:ProducerConsumer:items:Capacity).");
        // What the same key brought in before is accepted, as it was then.
        var isReplay = key is not null && results.All(result => result.Outcome == EnqueueOutcome.Duplicate);
        if (isReplay) http.Response.Headers["Idempotent-Replayed"] = "true";
        return TypedResults.Accepted((string?)null, new ItemsReply(
            [.. results.Select(result => isReplay ? new ItemReply(result.Id, EnqueueOutcome.Accepted, null) : new ItemReply(result.Id, result.Outcome, result.Existing))],
            results[^1].Depth));
    }

    private async Task<Ok<ReservedReply>> ReserveAsync(int max, TimeSpan wait, TimeSpan lease, CancellationToken cancellationToken)
    {
        var queue = await CallAsync((queue, _) => new ValueTask<IWorkQueue<byte[]>>(queue), cancellationToken);
        var deliveries = wait == TimeSpan.Zero
            ? await CallAsync((items, token) => items.TryReserveAsync(max, token), cancellationToken)
            : await WaitAsync(queue, max, wait, cancellationToken);
        var items = new List<ReservedItem>(deliveries.Count);
        foreach (var delivery in deliveries)
        {
            // From here on the lease is the client's: this gateway renews nothing.
            if (await delivery.DetachAsync(lease, CancellationToken.None) is SettleOutcome.Settled or SettleOutcome.Cancelled)
            {
                items.Add(new ReservedItem(delivery.Id, delivery.Token.ToString(CultureInfo.InvariantCulture), delivery.Attempt, delivery.Redelivery,
                    delivery.Age.TotalMilliseconds, JsonSerializer.Deserialize(delivery.Payload, ProducerConsumerJson.Default.JsonElement)));
            }
        }
        return TypedResults.Ok(new ReservedReply(items, (long)lease.TotalMilliseconds));
    }

    private async Task<IReadOnlyList<Delivery<byte[]>>> WaitAsync(IWorkQueue<byte[]> queue, int max, TimeSpan wait, CancellationToken cancellationToken)
    {
        using var limit = new CancellationTokenSource(wait, _time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, limit.Token);
        try
        {
            return await queue.ReserveAsync(max, both.Token);
        }
        catch (OperationCanceledException) when (limit.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            return [];
        }
    }

    private async Task<Ok<ItemStatusReply>> FindAsync(string id, CancellationToken cancellationToken) =>
        await CallAsync((queue, token) => queue.FindAsync(id, token), cancellationToken) is { } status
            ? TypedResults.Ok(new ItemStatusReply(status.Id, status.State, status.Attempts, status.Note))
            : throw NotFound(id);

    private async Task<Results<NoContent, Ok<SettledReply>>> SettleAsync(Settlement settlement, CancellationToken cancellationToken)
    {
        var outcome = (await CallAsync((queue, token) => queue.SettleAsync([settlement], token), cancellationToken))[0];
        return outcome switch
        {
            SettleOutcome.Settled => TypedResults.NoContent(),
            SettleOutcome.Stale => throw new ProblemException(ProblemKind.StaleToken,
                $"The token {settlement.Token} does not hold '{Text.Shorten(settlement.Id)}': its lease ran out, or the item is settled."),
            SettleOutcome.Unknown => throw NotFound(settlement.Id),
            _ => TypedResults.Ok(new SettledReply(settlement.Id, outcome)), // dead after its last attempt, or cancelled meanwhile
        };
    }

    private async Task<Ok<DeadReply>> PeekDeadAsync(int offset, int count, CancellationToken cancellationToken)
    {
        var dead = await CallAsync((queue, token) => queue.PeekDeadAsync(offset, count, token), cancellationToken);
        return TypedResults.Ok(new DeadReply([.. dead.Select(letter => new DeadItem(letter.Id, letter.Reason, letter.Attempts, letter.Age.TotalMilliseconds,
            letter.Payload is { } payload ? JsonSerializer.Deserialize(payload, ProducerConsumerJson.Default.JsonElement) : null))]));
    }

    private Task<T> CallAsync<T>(Func<IWorkQueue<byte[]>, CancellationToken, ValueTask<T>> call, CancellationToken cancellationToken) =>
        _calls.CallAsync((queue, token) => call(queue.Items, token).AsTask(), cancellationToken);

    private static TimeSpan Lease(string? lease) => QueryParameters.Time("lease", lease, s_shortestLease, s_longestLease, s_lease);

    private static long Token(string? token) => long.TryParse(token, NumberStyles.None, CultureInfo.InvariantCulture, out var number)
        ? number
        : throw new ProblemException(ProblemKind.InvalidParameter, $"Parameter 'token' takes the token that came with the item, not '{Text.Shorten(token ?? "")}'.");

    private static ProblemException NotFound(string id) => new(ProblemKind.ItemNotFound, $"There is no item '{Text.Shorten(id)}', or it ended longer ago than ids are kept.");
}
