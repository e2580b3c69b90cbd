using System.ComponentModel;
using DistributedPatterns.Diagnostics;
using DistributedPatterns.Gateway.Patterns;
using DistributedPatterns.Gateway.Problems;
using DistributedPatterns.Members;
using DistributedPatterns.ProducerConsumer;
using DistributedPatterns.ProducerConsumer.Feeds;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Extensions.Options;

namespace DistributedPatterns.Gateway.ProducerConsumer;

/// <summary>Maps <c>/api/producer-consumer/{variant}/runs</c>: the producer produces at a set rate, workers consume.</summary>
internal sealed class FeedEndpoints(string variant, IServiceProvider services)
{
    private const int Count = 1_000;
    private const int Rate = 200;

    private static readonly TimeSpan s_maxWait = TimeSpan.FromSeconds(60);

    private readonly VariantCalls<FeedRuns> _calls = new(variant, services);
    private readonly TimeProvider _time = services.GetRequiredService<TimeProvider>();
    private readonly string _idPrefix = variant == Variants.Channel ? OwnerFilter.PrefixOf(services.GetRequiredService<IOptions<MembersOptions>>().Value) : "";

    public static void Map(RouteGroupBuilder group, string variant, IServiceProvider services)
    {
        var endpoints = new FeedEndpoints(variant, services);
        group.MapPost("/runs", (
                [FromQuery, Description("How many records of UnicodeData.txt, 1 to 10000; 1000 unless given.")] string? count,
                [FromQuery, Description("How many a second, 1 to 100000; 200 unless given.")] string? rate, CancellationToken cancellationToken) =>
                endpoints.StartAsync(new FeedOrder(
                    QueryParameters.Count("count", count, 1, FeedOrder.MaxCount, Count), QueryParameters.Count("rate", rate, 1, FeedOrder.MaxPerSecond, Rate)), cancellationToken))
            .TakesQuery("count", "rate").WithSummary("Lets the producer produce records at a set rate, and workers consume them.");
        var run = group.MapGroup("/runs/{id}");
        if (variant == Variants.Channel) run.AddEndpointFilter(services.GetRequiredService<OwnerFilter>());
        run.MapGet("", (string id, [FromQuery, Description("Waits for the run's end as long as this, 0s to 60s.")] string? wait, CancellationToken cancellationToken) =>
                endpoints.ReadAsync(id, QueryParameters.Time("wait", wait, TimeSpan.Zero, s_maxWait, TimeSpan.Zero), cancellationToken))
            .TakesQuery("wait").WithSummary("Reads how much is produced and consumed.");
        run.MapDelete("", (string id, CancellationToken cancellationToken) => endpoints.CancelAsync(id, cancellationToken))
            .TakesQuery().WithSummary("Stops producing. What is produced is consumed.");
    }

    private async Task<Accepted<FeedStatus>> StartAsync(FeedOrder order, CancellationToken cancellationToken)
    {
        var id = _idPrefix + Guid.NewGuid().ToString("N");
        return TypedResults.Accepted(LocationOf(id), await _calls.CallAsync((feeds, token) => feeds.StartAsync(id, order, token), cancellationToken));
    }

    private async Task<Ok<FeedStatus>> ReadAsync(string id, TimeSpan wait, CancellationToken cancellationToken)
    {
        if (wait > TimeSpan.Zero) await WaitAsync(id, wait, cancellationToken);
        return TypedResults.Ok(await FindAsync(id, cancellationToken));
    }

    private async Task WaitAsync(string id, TimeSpan atMost, CancellationToken cancellationToken)
    {
        var feeds = await _calls.CallAsync((feeds, _) => Task.FromResult(feeds), cancellationToken);
        using var limit = new CancellationTokenSource(atMost, _time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, limit.Token);
        try
        {
            await feeds.WaitAsync(id, both.Token);
        }
        catch (OperationCanceledException) when (limit.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            // It is not at its end; the reply says how far it is.
        }
    }

    private async Task<Accepted<FeedStatus>> CancelAsync(string id, CancellationToken cancellationToken)
    {
        if (await _calls.CallAsync((feeds, token) => feeds.CancelAsync(id, token).AsTask(), cancellationToken) == CancelOutcome.Ended)
            throw new ProblemException(ProblemKind.RunEnded, $"Run '{Text.Shorten(id)}' is produced already.");
        return TypedResults.Accepted(LocationOf(id), await FindAsync(id, cancellationToken));
    }

    private async Task<FeedStatus> FindAsync(string id, CancellationToken cancellationToken) =>
        await _calls.CallAsync((feeds, token) => feeds.FindAsync(id, token), cancellationToken)
        ?? throw new ProblemException(ProblemKind.RunNotFound, $"There is no run '{Text.Shorten(id)}', or it ended longer ago than runs are kept.");

    private string LocationOf(string id) => $"/api/producer-consumer/{variant}/runs/{id}";
}
