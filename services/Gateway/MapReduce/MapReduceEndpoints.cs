using System.ComponentModel;
using DistributedPatterns.Diagnostics;
using DistributedPatterns.Gateway.Idempotency;
using DistributedPatterns.Gateway.Patterns;
using DistributedPatterns.Gateway.Problems;
using DistributedPatterns.MapReduce;
using DistributedPatterns.Members;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Extensions.Options;

namespace DistributedPatterns.Gateway.MapReduce;

/// <summary>Maps <c>/api/map-reduce/{variant}/jobs</c>.</summary>
internal sealed class MapReduceEndpoints(string variant, IServiceProvider services)
{
    private const string Example = "{\"job\":\"word-count\",\"input\":\"us-constitution.txt\"}";

    private static readonly TimeSpan s_maxWait = TimeSpan.FromSeconds(60);
    private static readonly JsonBody s_body = new(
        16 * 1024, "a JSON object with 'job' and 'input'", Example, "Put what the job reads among the inputs with PUT inputs/{name}.");

    private readonly VariantCalls<IMapReduce> _calls = new(variant, services);
    private readonly TimeProvider _time = services.GetRequiredService<TimeProvider>();
    private readonly string _keyPrefix = variant == Variants.Channel ? OwnerFilter.PrefixOf(services.GetRequiredService<IOptions<MembersOptions>>().Value) : "";

    public static void Map(RouteGroupBuilder group, string variant, IServiceProvider services)
    {
        var endpoints = new MapReduceEndpoints(variant, services);
        group.MapPost("/jobs", (HttpContext http,
                [FromHeader(Name = IdempotencyKey.Header), Description("Becomes the job's id: the same key and body get the first reply again.")] string? key) =>
                endpoints.StartAsync(http, key))
            .TakesQuery().TakesMapReduceBody().WithSummary("Takes a job on.").Produces<MapReduceAccepted>(StatusCodes.Status202Accepted);

        var job = group.MapGroup("/jobs/{id}");
        if (variant == Variants.Channel) job.AddEndpointFilter(services.GetRequiredService<OwnerFilter>());
        job.MapGet("", (string id, [FromQuery, Description("Waits for the job's end as long as this, 0s to 60s.")] string? wait, CancellationToken cancellationToken) =>
                endpoints.ReadAsync(id, QueryParameters.Time("wait", wait, TimeSpan.Zero, s_maxWait, TimeSpan.Zero), cancellationToken))
            .TakesQuery("wait").WithSummary("Reads how far the job is, or how it ended.");
        job.MapGet("/result", (
                string id, [FromQuery, Description("The n largest entries as JSON, 1 to 1000, instead of all lines as text.")] string? top, CancellationToken cancellationToken) =>
                endpoints.ResultAsync(id, top, cancellationToken))
            .TakesQuery("top").WithSummary("Reads the result: lines of key, tab and value, sorted by key; or the largest entries.")
            .Produces<TopReply>().Produces<string>(StatusCodes.Status200OK, "text/plain");
        job.MapDelete("", (string id, CancellationToken cancellationToken) => endpoints.CancelAsync(id, cancellationToken))
            .TakesQuery().WithSummary("Cancels the job. It leaves no result.");

        group.MapGet("/stats", async (CancellationToken cancellationToken) =>
                TypedResults.Ok(await endpoints._calls.CallAsync((jobs, token) => jobs.GetStatsAsync(token), cancellationToken)))
            .TakesQuery().WithSummary("Counts the jobs: started = waiting + running + completed + failed + cancelled.");
    }

    private async Task<Accepted<MapReduceAccepted>> StartAsync(HttpContext http, string? key)
    {
        IdempotencyKey.Check(key);
        var body = await s_body.ReadAsync(http, MapReduceEndpointsJson.Default.MapReduceSubmission);
        var request = new MapReduceRequest(
            body.Job ?? throw new ProblemException(ProblemKind.UnknownJob, $"The field 'job' is missing. Send {Example}."),
            body.Input ?? throw new ProblemException(ProblemKind.UnknownInput, $"The field 'input' is missing: what the job reads. Send {Example}."))
        {
            Id = key is null ? null : _keyPrefix + key,
            SplitBytes = body.SplitBytes,
            Mappers = body.Mappers,
            Reducers = body.Reducers,
            Combiner = QueryParameters.Choice("combiner", body.Combiner, CombinerUse.On),
            OnBadRecord = QueryParameters.Choice("onBadRecord", body.OnBadRecord, BadRecordPolicy.Stop),
            Parameters = body.Parameters ?? [],
        };
        var (job, isReplay) = await _calls.CallAsync(async (jobs, token) =>
        {
            var before = request.Id is null ? null : await jobs.FindAsync(request.Id, token);
            return (await jobs.StartAsync(request, token), before is not null);
        }, http.RequestAborted);
        if (isReplay) http.Response.Headers["Idempotent-Replayed"] = "true";
        var location = LocationOf(job.Id);
        return TypedResults.Accepted(location, new MapReduceAccepted(job.Id, job.Job, job.Input, location, location + "/result"));
    }

    private async Task<Ok<MapReduceStatus>> ReadAsync(string id, TimeSpan wait, CancellationToken cancellationToken)
    {
        var status = await FindAsync(id, cancellationToken);
        if (wait > TimeSpan.Zero && !status.HasEnded) status = await WaitAsync(id, wait, cancellationToken) ?? await FindAsync(id, cancellationToken);
        return TypedResults.Ok(status);
    }

    private async Task<IResult> ResultAsync(string id, string? top, CancellationToken cancellationToken)
    {
        var count = QueryParameters.Count("top", top, 1, MapReduceExtensions.MaxTop, unset: 0);
        var status = await FindAsync(id, cancellationToken);
        if (status.State != MapReduceState.Completed)
            throw new ProblemException(ProblemKind.NoResult, $"Job '{Text.Shorten(id)}' is {status.State.ToString().ToLowerInvariant()}{(status.Error is null ? "" : $": {status.Error}")}.");
        var jobs = await _calls.CallAsync((jobs, _) => Task.FromResult(jobs), cancellationToken);
        if (top is null)
        {
            var result = await jobs.OpenResultAsync(id, cancellationToken) ?? throw Gone(id);
            return TypedResults.Stream(result.Content, "text/plain; charset=utf-8"); // disposes the content, which is all that a result has
        }
        var entries = await jobs.TopAsync(id, count, cancellationToken) ?? throw Gone(id);
        return TypedResults.Ok(new TopReply(id, status.Job, status.Input, status.Report!.Keys, status.Report.Sha256, entries));
    }

    private async Task<Accepted<MapReduceStatus>> CancelAsync(string id, CancellationToken cancellationToken)
    {
        var status = await FindAsync(id, cancellationToken);
        if (status.HasEnded || !await _calls.CallAsync((jobs, token) => jobs.CancelAsync(id, token), cancellationToken))
            throw new ProblemException(ProblemKind.JobEnded, $"Job '{Text.Shorten(id)}' has ended already; GET it to read how.");
        return TypedResults.Accepted(LocationOf(id), await FindAsync(id, cancellationToken));
    }

    private async Task<MapReduceStatus> FindAsync(string id, CancellationToken cancellationToken) =>
        await _calls.CallAsync((jobs, token) => jobs.FindAsync(id, token), cancellationToken)
        ?? throw new ProblemException(ProblemKind.JobNotFound, $"There is no job '{Text.Shorten(id)}', or it ended longer ago than results are kept.");

    /// <summary>Waits for the job's end, or returns <see langword="null"/> when the time is up.</summary>
    private async Task<MapReduceStatus?> WaitAsync(string id, TimeSpan atMost, CancellationToken cancellationToken)
    {
        var jobs = await _calls.CallAsync((jobs, _) => Task.FromResult(jobs), cancellationToken);
        using var limit = new CancellationTokenSource(atMost, _time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, limit.Token);
        try
        {
            return await jobs.WaitAsync(id, both.Token);
        }
        catch (OperationCanceledException) when (limit.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            return null;
        }
    }

    private string LocationOf(string id) => $"/api/map-reduce/{variant}/jobs/{id}";

    private static ProblemException Gone(string id) => new(ProblemKind.NoResult, $"The result of job '{Text.Shorten(id)}' is not kept any more (KeepResults).");
}
