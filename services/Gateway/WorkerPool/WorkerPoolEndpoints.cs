using System.ComponentModel;
using System.Globalization;
using DistributedPatterns.Diagnostics;
using DistributedPatterns.Gateway.Idempotency;
using DistributedPatterns.Gateway.Patterns;
using DistributedPatterns.Gateway.Problems;
using DistributedPatterns.Members;
using DistributedPatterns.WorkerPool;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Extensions.Options;

namespace DistributedPatterns.Gateway.WorkerPool;

/// <summary>Maps <c>/api/worker-pool/{variant}</c>.</summary>
internal sealed class WorkerPoolEndpoints
{
    private static readonly TimeSpan s_maxWait = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan s_drainLimit = TimeSpan.FromSeconds(10);

    private readonly string _variant;
    private readonly IServiceProvider _services;
    private readonly VariantCalls<IWorkerPool> _calls;
    private readonly IRequestKeys _keys;
    private readonly string _keyPrefix;

    private WorkerPoolEndpoints(string variant, IServiceProvider services)
    {
        (_variant, _services, _calls) = (variant, services, new VariantCalls<IWorkerPool>(variant, services));
        _keys = services.GetRequiredKeyedService<IRequestKeys>(WorkerPoolPattern.KeysOf(variant));
        _keyPrefix = variant == Variants.Channel ? OwnerFilter.PrefixOf(services.GetRequiredService<IOptions<MembersOptions>>().Value) : "";
    }

    public static void Map(RouteGroupBuilder group, string variant, IServiceProvider services)
    {
        var endpoints = new WorkerPoolEndpoints(variant, services);
        group.MapPost("/jobs", (HttpContext http,
                [FromQuery, Description("Simulated work instead of a body: none, cpu:200us, io:5ms.")] string? work,
                [FromQuery, Description("How long the job may take, waiting included, 1ms to 60m; for ever unless given.")] string? ttl,
                [FromHeader(Name = IdempotencyKey.Header), Description("Becomes part of the job's id: the same key and body get the first reply again.")] string? key) =>
                endpoints.SubmitAsync(http, work, ttl, key))
            .TakesQuery("work", "ttl").TakesJobBody().WithSummary("Takes a job on.")
            .Produces<JobAccepted>(StatusCodes.Status202Accepted);

        var job = group.MapGroup("/jobs/{id}");
        if (variant == Variants.Channel) job.AddEndpointFilter(services.GetRequiredService<OwnerFilter>());
        job.MapGet("", (string id, [FromQuery, Description("Waits for the job's end as long as this, 0s to 60s.")] string? wait, CancellationToken cancellationToken) =>
                endpoints.ReadAsync(id, QueryParameters.Time("wait", wait, TimeSpan.Zero, s_maxWait, TimeSpan.Zero), cancellationToken))
            .TakesQuery("wait").WithSummary("Reads how far the job is, or how it ended.");
        job.MapDelete("", (string id, CancellationToken cancellationToken) => endpoints.CancelAsync(id, cancellationToken))
            .TakesQuery().WithSummary("Cancels the job, wherever it is.");

        group.MapPut("/size", ([FromQuery, Description("How many jobs each process with workers runs at the same time, 1 to 1024.")] string? n, CancellationToken cancellationToken) =>
                endpoints.ResizeAsync(n, cancellationToken))
            .TakesQuery("n").WithSummary("Changes how many jobs run at the same time; a surplus worker leaves after its job.");
        group.MapGet("/stats", async (CancellationToken cancellationToken) => TypedResults.Ok(await endpoints.SnapshotAsync(cancellationToken)))
            .TakesQuery().WithSummary("Reads the ledger, and who runs what since when.");
        group.MapGet("/workers", async (CancellationToken cancellationToken) =>
                TypedResults.Ok(await endpoints.SnapshotAsync(cancellationToken) is var snapshot ? new WorkersReply(snapshot.Workers, snapshot.Running) : null))
            .TakesQuery().WithSummary("Lists who has workers and what they run.");

        // To stop a whole pool is for whoever develops it.
        if (!services.GetRequiredService<IHostEnvironment>().IsDevelopment()) return;
        group.MapPost("/drain", ([FromQuery, Description("How long open jobs may go on, 0s to 60s; 10s unless given.")] string? limit, CancellationToken cancellationToken) =>
                endpoints.DrainAsync(QueryParameters.Time("limit", limit, TimeSpan.Zero, s_maxWait, s_drainLimit), cancellationToken))
            .TakesQuery("limit").WithSummary("Takes nothing on, lets open jobs end, then takes back what is left. In Development only.");
        group.MapDelete("/drain", (CancellationToken cancellationToken) => endpoints.ResumeAsync(cancellationToken))
            .TakesQuery().WithSummary("Takes jobs on again. In Development only.");
    }

    private async Task<Accepted<JobAccepted>> SubmitAsync(HttpContext http, string? work, string? ttl, string? key)
    {
        IdempotencyKey.Check(key);
        TimeSpan? left = ttl is null ? null : QueryParameters.Time("ttl", ttl, TimeSpan.FromMilliseconds(1), TimeSpan.FromHours(1), default);
        var request = await JobRequests.ReadAsync(http, work) with { TimeToLive = left };
        var handle = await _calls.CallAsync(async (pool, token) =>
        {
            if (key is null) return await pool.SubmitAsync(request, token);
            if (!await _keys.IsSameAsync(key, JobRequests.FingerprintOf(request)))
            {
                throw new ProblemException(ProblemKind.IdempotencyMismatch,
                    $"The key '{key}' stands for another request than this one for job '{Text.Shorten(request.Job)}'.");
            }
            return await pool.SubmitAsync(request with { Id = _keyPrefix + JobIds.Of(request.Job, key) }, token);
        }, http.RequestAborted);
        if (!handle.IsNew) http.Response.Headers["Idempotent-Replayed"] = "true";
        var location = $"/api/worker-pool/{_variant}/jobs/{handle.Id}";
        return TypedResults.Accepted(location, new JobAccepted(handle.Id, request.Job, location));
    }

    private async Task<Ok<JobStatus>> ReadAsync(string id, TimeSpan wait, CancellationToken cancellationToken)
    {
        var status = await FindAsync(id, cancellationToken);
        if (wait > TimeSpan.Zero && !status.HasEnded) status = await WaitAsync(id, wait, cancellationToken) ?? await FindAsync(id, cancellationToken);
        return TypedResults.Ok(status);
    }

    private async Task<Accepted<CancelReply>> CancelAsync(string id, CancellationToken cancellationToken)
    {
        var cancellation = await _calls.CallAsync((pool, token) => pool.CancelAsync(id, token).AsTask(), cancellationToken);
        return cancellation switch
        {
            JobCancellation.Unknown => throw NotFound(id),
            JobCancellation.TooLate => throw new ProblemException(ProblemKind.JobEnded, $"Job '{Text.Shorten(id)}' has ended already; GET it to read how."),
            _ => TypedResults.Accepted($"/api/worker-pool/{_variant}/jobs/{id}", new CancelReply(id, cancellation)),
        };
    }

    private async Task<Ok<SizeReply>> ResizeAsync(string? n, CancellationToken cancellationToken)
    {
        if (!int.TryParse(n, NumberStyles.None, CultureInfo.InvariantCulture, out var size) || size is < 1 or > IWorkerPool.MaxSize)
            throw new ProblemException(ProblemKind.InvalidParameter, $"Parameter 'n' takes a number from 1 to {IWorkerPool.MaxSize}, not '{Text.Shorten(n ?? "")}'.");
        await _calls.CallAsync(async (pool, token) =>
        {
            await pool.ResizeAsync(size, token);
            return size;
        }, cancellationToken);
        return TypedResults.Ok(new SizeReply(size));
    }

    private Task<WorkerPoolSnapshot> SnapshotAsync(CancellationToken cancellationToken) =>
        _calls.CallAsync((pool, token) => pool.GetSnapshotAsync(token).AsTask(), cancellationToken);

    private async Task<Ok<DrainReport>> DrainAsync(TimeSpan limit, CancellationToken cancellationToken)
    {
        var pool = await _calls.CallAsync((pool, _) => Task.FromResult(pool), cancellationToken);
        return TypedResults.Ok(await pool.DrainAsync(limit, cancellationToken));
    }

    private async Task<NoContent> ResumeAsync(CancellationToken cancellationToken)
    {
        await _calls.CallAsync(async (pool, token) =>
        {
            await pool.ResumeAsync(token);
            return true;
        }, cancellationToken);
        return TypedResults.NoContent();
    }

    private async Task<JobStatus> FindAsync(string id, CancellationToken cancellationToken) =>
        await _calls.CallAsync((pool, token) => pool.FindAsync(id, token).AsTask(), cancellationToken) ?? throw NotFound(id);

    /// <summary>Waits for the job's end, or returns <see langword="null"/> when the time is up.</summary>
    private async Task<JobStatus?> WaitAsync(string id, TimeSpan atMost, CancellationToken cancellationToken)
    {
        using var limit = new CancellationTokenSource(atMost, _services.GetRequiredService<TimeProvider>());
        using var both = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, limit.Token);
        try
        {
            return await _services.GetRequiredKeyedService<IWorkerPool>(_variant).WaitAsync(id, both.Token);
        }
        catch (OperationCanceledException) when (limit.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            return null;
        }
    }

    private ProblemException NotFound(string id) =>
        _variant == Variants.Channel && _services.GetRequiredService<ChannelWorkerPool>().HasForgotten(id)
            ? new(ProblemKind.JobForgotten, $"Job '{Text.Shorten(id)}' ended longer ago than outcomes are kept (KeepEndedFor, KeepEnded).")
            : new(ProblemKind.JobNotFound, $"There is no job '{Text.Shorten(id)}', or it ended longer ago than outcomes are kept.");
}
