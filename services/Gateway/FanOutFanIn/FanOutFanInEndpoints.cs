using System.ComponentModel;
using DistributedPatterns.FanOutFanIn;
using DistributedPatterns.Gateway.Patterns;
using DistributedPatterns.Gateway.Uploads;
using DistributedPatterns.Pipeline;
using DistributedPatterns.Scenarios;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;

namespace DistributedPatterns.Gateway.FanOutFanIn;

/// <summary>Maps <c>/api/fan-out-fan-in/{variant}</c>.</summary>
internal static class FanOutFanInEndpoints
{
    public static void Map(RouteGroupBuilder group, string variant, IServiceProvider services)
    {
        var calls = new VariantCalls<IScatterGather>(variant, services);
        var inputs = services.GetRequiredService<PipelineInputs>();
        var uploads = services.GetRequiredService<UploadStore>();

        group.MapGet("/", (
                [FromQuery, Description("How many items, 1 to 100000; 16 unless given. With mode=first 1 to 11 candidates; 3 unless given.")] string? n,
                [FromQuery, Description("How many may run at a time, 1 to 1024; the variant's own unless given.")] string? degree,
                [FromQuery, Description("all: everything or an error; partial: what is there at the deadline; first: the first success.")] string? mode,
                [FromQuery, Description("completed or asked.")] string? order,
                [FromQuery, Description("stop: the first error ends it; collect: errors are listed.")] string? errors,
                [FromQuery, Description("1ms to 60s; 10s unless given.")] string? deadline,
                [FromQuery, Description(SimulatedWork.Accepted + ".")] string? work,
                [FromQuery, Description("With mode=first: p95 asks the next one when the one before is slow; off asks all at once.")] string? hedge,
                [FromQuery, Description("The number of an item that fails.")] string? fail,
                CancellationToken cancellationToken) =>
                FanOutAsync(new FanOutQuery(n, degree, mode, order, errors, deadline, work, hedge, fail), calls, cancellationToken))
            .TakesQuery("n", "degree", "mode", "order", "errors", "deadline", "work", "hedge", "fail").WithSummary("Fans simulated work out and gathers the answers.");

        group.MapGet("/scan", (
                [FromQuery, Description("The input's name, such as unicode-data.")] string? input,
                [FromQuery, Description("What to count.")] string? find,
                [FromQuery, Description("category: the third field of a line of UnicodeData.txt; word: whole words.")] string? by,
                [FromQuery, Description("Into how many parts to cut the file, 1 to 1024; 16 unless given.")] string? parts,
                [FromQuery, Description("How many parts may be scanned at a time.")] string? degree,
                [FromQuery, Description("1ms to 60s; 10s unless given.")] string? deadline,
                CancellationToken cancellationToken) =>
                ScanAsync(new ScanQuery(input ?? "unicode-data", find, by, parts, degree, deadline), calls, inputs, cancellationToken))
            .TakesQuery("input", "find", "by", "parts", "degree", "deadline").WithSummary("Counts a category or a word in parts of a file, and adds the parts up.");

        group.MapPost("/scan", async (
                HttpContext http, [FromQuery] string? find, [FromQuery] string? by, [FromQuery] string? parts, [FromQuery] string? degree, [FromQuery] string? deadline) =>
            {
                new ScanQuery("", find, by, parts, degree, deadline).Read(); // before the body: nobody should send 64 MiB to learn that a parameter is wrong
                TextBody.Check(http.Request);
                var upload = await uploads.ReceiveAsync(http);
                try
                {
                    return await ScanAsync(new ScanQuery(upload.Name, find, by, parts, degree, deadline), calls, inputs, http.RequestAborted);
                }
                finally
                {
                    uploads.Delete(upload);
                }
            })
            .TakesQuery("find", "by", "parts", "degree", "deadline").TakesTextBody()
            .WithSummary("The same for the file in the body.");

        group.MapGet("/stats", async (CancellationToken cancellationToken) => TypedResults.Ok((await ResolveAsync(calls, cancellationToken)).Stats))
            .TakesQuery().WithSummary("Adds up what this gateway fanned out.");
    }

    private static async Task<Ok<FanOutReply>> FanOutAsync(FanOutQuery query, VariantCalls<IScatterGather> calls, CancellationToken cancellationToken)
    {
        var asked = query.Read();
        var scatter = await ResolveAsync(calls, cancellationToken);
        if (asked.Mode == FanOutMode.First)
        {
            var options = new FirstOptions { Start = asked.Start, Deadline = asked.Options.Deadline };
            var first = await scatter.FirstAsync<WorkItem, long>(WorkBranch.Name, asked.Items, options, cancellationToken);
            var won = first.Result;
            return TypedResults.Ok(new FanOutReply(won.Value, GatherSummary.Of(first.Report, []), new FirstReply(
                won.Index, won.Worker, won.Attempt, won.Wait.TotalMilliseconds, won.Run.TotalMilliseconds, first.Started, first.HedgeDelay.TotalMilliseconds)));
        }
        var (checksum, failures) = (0L, new List<BranchException?>());
        var gather = scatter.Scatter<WorkItem, long>(WorkBranch.Name, asked.Items, asked.Options);
        await foreach (var result in gather.WithCancellation(cancellationToken))
        {
            if (result.Error is null) checksum += result.Value;
            else failures.Add(result.Error);
        }
        return TypedResults.Ok(new FanOutReply(checksum, GatherSummary.Of(gather.Report, failures), null));
    }

    private static async Task<Ok<ScanReply>> ScanAsync(
        ScanQuery query, VariantCalls<IScatterGather> calls, PipelineInputs inputs, CancellationToken cancellationToken)
    {
        var (find, by, parts, options) = query.Read();
        var cut = FileScan.Cut(inputs, query.Input, parts, find, by);
        var scatter = await ResolveAsync(calls, cancellationToken);
        var gather = scatter.Scatter<ScanPart, ScanCount>(FileScan.Name, cut, options);
        var sum = new ScanCount();
        await foreach (var result in gather.WithCancellation(cancellationToken)) sum += result.Value;
        return TypedResults.Ok(new ScanReply(
            query.Input, find, by.ToString().ToLowerInvariant(), parts, sum.Lines, sum.Matches, GatherSummary.Of(gather.Report, [])));
    }

    // The first use of the distributed variant may connect to Redis; a gathering itself has its own deadline.
    private static Task<IScatterGather> ResolveAsync(VariantCalls<IScatterGather> calls, CancellationToken cancellationToken) =>
        calls.CallAsync(static (scatter, _) => Task.FromResult(scatter), cancellationToken);
}
