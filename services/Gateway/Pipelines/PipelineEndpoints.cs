using System.ComponentModel;
using DistributedPatterns.Diagnostics;
using DistributedPatterns.Gateway.Idempotency;
using DistributedPatterns.Gateway.Patterns;
using DistributedPatterns.Gateway.Problems;
using DistributedPatterns.Gateway.Uploads;
using DistributedPatterns.Pipeline;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;

namespace DistributedPatterns.Gateway.Pipelines;

/// <summary>Maps <c>/api/pipeline/{variant}</c>.</summary>
internal static class PipelineEndpoints
{
    private static readonly TimeSpan s_maxWait = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan s_echoTimeout = TimeSpan.FromSeconds(10);

    public static void Map(RouteGroupBuilder group, string variant, IServiceProvider services)
    {
        var runs = services.GetRequiredKeyedService<PipelineRuns>(variant);
        var watchers = services.GetRequiredService<RunWatchers>();
        var requests = services.GetRequiredService<RunRequests>();
        var uploads = services.GetRequiredService<UploadStore>();

        group.MapPost("/runs", (HttpContext http,
                [FromQuery, Description("The pipeline of an uploaded file.")] string? pipeline,
                [FromHeader(Name = IdempotencyKey.Header), Description("Becomes the run's id: the same key and body get the first reply again.")] string? key) =>
                StartAsync(http, pipeline, key, variant, runs, requests, uploads))
            .TakesQuery("pipeline").TakesRunBody()
            .WithSummary("Starts a run over a named input, or over the file in the body.")
            .Produces<RunAccepted>(StatusCodes.Status202Accepted);

        var run = group.MapGroup("/runs/{id}");
        if (variant == Variants.Channel) run.AddEndpointFilter(services.GetRequiredService<OwnerFilter>());
        run.MapGet("", async (string id, [FromQuery, Description("Waits for the run's end as long as this, 0s to 60s.")] string? wait, CancellationToken cancellationToken) =>
                TypedResults.Ok(await ReadAsync(id, QueryParameters.Time("wait", wait, TimeSpan.Zero, s_maxWait, TimeSpan.Zero), runs, services, cancellationToken)))
            .TakesQuery("wait").WithSummary("Reads how far the run is, or how it ended.");
        run.MapGet("/events", async (string id, HttpContext http, CancellationToken cancellationToken) =>
            {
                var found = await runs.GetAsync(id, cancellationToken);
                watchers.Enter(http);
                return TypedResults.ServerSentEvents(watchers.WatchAsync(found, http.Request.Headers["Last-Event-ID"], cancellationToken));
            })
            .TakesQuery().WithSummary("Streams the run's progress until it ends.")
            .Produces<PipelineStatus>(StatusCodes.Status200OK, "text/event-stream");
        run.MapDelete("", (string id, [FromQuery, Description("drain: finish what was read; abort: drop it.")] string? mode, CancellationToken cancellationToken) =>
                StopAsync(id, QueryParameters.Choice("mode", mode, PipelineStop.Drain), variant, runs, cancellationToken))
            .TakesQuery("mode").WithSummary("Ends the run early.");

        group.MapGet("/echo", (
                [FromQuery, Description("How many items, 1 to 10000000; 1000 unless given.")] string? n,
                [FromQuery, Description("The limit, 1ms to 60s; 10s unless given.")] string? timeout, CancellationToken cancellationToken) =>
                EchoAsync(n ?? "1000", QueryParameters.Time("timeout", timeout, TimeSpan.FromMilliseconds(1), s_maxWait, s_echoTimeout), runs, services, cancellationToken))
            .TakesQuery("n", "timeout").WithSummary("Sends n numbers through stages that do nothing and waits: the pattern's own cost.");
        group.MapGet("/stats", () => TypedResults.Ok(runs.Tally.Read(watchers.Count)))
            .TakesQuery().WithSummary("Adds up the runs that this gateway started.");
    }

    private static async Task<Accepted<RunAccepted>> StartAsync(
        HttpContext http, string? pipeline, string? key, string variant, PipelineRuns runs, RunRequests requests, UploadStore uploads)
    {
        IdempotencyKey.Check(key);
        var (request, upload) = await requests.ReadAsync(http, pipeline);
        var isStarted = false;
        try
        {
            var (run, input, isReplay) = await runs.StartAsync(request, key, upload, http.RequestAborted);
            isStarted = !isReplay;
            if (isReplay) http.Response.Headers["Idempotent-Replayed"] = "true";
            var location = LocationOf(variant, run.Id);
            return TypedResults.Accepted(location, new RunAccepted(run.Id, request.Pipeline, input, location, location + "/events"));
        }
        finally
        {
            if (!isStarted && upload is not null) uploads.Delete(upload);
        }
    }

    private static async Task<PipelineStatus> ReadAsync(
        string id, TimeSpan wait, PipelineRuns runs, IServiceProvider services, CancellationToken cancellationToken)
    {
        var run = await runs.GetAsync(id, cancellationToken);
        if (wait > TimeSpan.Zero) await WaitAsync(run, wait, services, cancellationToken);
        return await runs.GetStatusAsync(run, cancellationToken);
    }

    private static async Task<Accepted<PipelineStatus>> StopAsync(
        string id, PipelineStop how, string variant, PipelineRuns runs, CancellationToken cancellationToken)
    {
        var run = await runs.GetAsync(id, cancellationToken);
        var status = await runs.GetStatusAsync(run, cancellationToken);
        if (status.HasEnded) throw new ProblemException(ProblemKind.RunEnded, $"Run {id} has ended already: {status.State}.");
        await runs.StopAsync(run, how, cancellationToken);
        return TypedResults.Accepted(LocationOf(variant, id), await runs.GetStatusAsync(run, cancellationToken));
    }

    private static async Task<Ok<EchoReply>> EchoAsync(
        string n, TimeSpan timeout, PipelineRuns runs, IServiceProvider services, CancellationToken cancellationToken)
    {
        var (run, _, _) = await runs.StartAsync(new PipelineRequest(EchoPipeline.Name, n), key: null, upload: null, cancellationToken);
        PipelineStatus? status = null;
        try
        {
            status = await WaitAsync(run, timeout, services, cancellationToken)
                ?? throw new ProblemException(ProblemKind.DeadlineExceeded, $"{n} items were not through within {timeout}; the run is aborted. Ask for fewer items, or allow more with timeout=.");
        }
        finally
        {
            if (status is null) await runs.StopAsync(run, PipelineStop.Abort, CancellationToken.None);
        }

        var result = await services.GetRequiredService<PipelineDefinition<EchoSummary>>().ResultOfAsync(run, cancellationToken);
        return TypedResults.Ok(new EchoReply(result.Count, result.Checksum, status.Elapsed.TotalMilliseconds));
    }

    /// <summary>Waits for the run's end, or returns <see langword="null"/> when the time is up.</summary>
    private static async Task<PipelineStatus?> WaitAsync(IPipelineRun run, TimeSpan atMost, IServiceProvider services, CancellationToken cancellationToken)
    {
        using var limit = new CancellationTokenSource(atMost, services.GetRequiredService<TimeProvider>());
        using var both = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, limit.Token);
        try
        {
            return await run.WaitAsync(both.Token);
        }
        catch (OperationCanceledException) when (limit.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            return null;
        }
    }

    private static string LocationOf(string variant, string id) => $"/api/pipeline/{variant}/runs/{id}";
}
