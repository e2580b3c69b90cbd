using System.ComponentModel;
using System.Globalization;
using DistributedPatterns.Deadlines;
using DistributedPatterns.Gateway.Patterns;
using DistributedPatterns.Gateway.Problems;
using DistributedPatterns.Scenarios;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;

namespace DistributedPatterns.Gateway.Deadlines;

/// <summary>Maps <c>/api/deadlines/{variant}</c>.</summary>
internal static class DeadlinesEndpoints
{
    private const string Header = "Request-Timeout-Ms";
    private const int MostMs = 60_000;

    private static readonly TimeSpan s_unset = TimeSpan.FromSeconds(10);

    public static void Map(RouteGroupBuilder group, string variant, IServiceProvider services)
    {
        var calls = new VariantCalls<IBudgetedCalls>(variant, services);
        var runner = services.GetRequiredService<DeadlineRunner>();

        group.MapGet("/", async (
                [FromHeader(Name = Header), Description("The budget of the whole, 1 to 60000; 10000 unless given.")] string? timeout,
                [FromQuery, Description("How many hops, 1 to 3: producer, worker, reducer; 3 unless given.")] string? hops,
                [FromQuery, Description("What each hop does: " + SimulatedWork.Accepted + ".")] string? work,
                [FromQuery, Description("What the last hop does instead.")] string? last,
                [FromQuery, Description("How often the chain is tried in all, inside the budget, 1 to 10; 1 unless given.")] string? attempts,
                [FromQuery, Description("The hop that is not available at the first attempt.")] string? unavailable,
                [FromQuery, Description("The hop that ignores its cancellation.")] string? deaf,
                CancellationToken cancellationToken) =>
            {
                var deadline = runner.After(Budget(timeout)); // from here on, connecting included
                var (request, call) = Read(hops, work, last, attempts, unavailable, deaf);
                var operations = await ResolveAsync(calls, cancellationToken);
                var reply = await operations.CallAsync<HopRequest, HopReply>(HopOperations.NameOf(1), request, deadline, call, cancellationToken);
                var left = deadline.Remaining;
                return TypedResults.Ok(new BudgetReply(deadline.Budget.TotalMilliseconds, (deadline.Budget - left + deadline.Overrun).TotalMilliseconds, left.TotalMilliseconds, reply.Hops));
            })
            .TakesQuery("hops", "work", "last", "attempts", "unavailable", "deaf").WithSummary("Spends one budget on a chain of hops, and says what each of them used.");

        group.MapGet("/stats", async (CancellationToken cancellationToken) => await LedgersAsync(calls, runner, cancellationToken))
            .TakesQuery().WithSummary("Says how operations ended, process by process.");
    }

    private static TimeSpan Budget(string? timeout) =>
        timeout is null ? s_unset
        : int.TryParse(timeout, NumberStyles.None, CultureInfo.InvariantCulture, out var ms) && ms is >= 1 and <= MostMs ? TimeSpan.FromMilliseconds(ms)
        : throw new ProblemException(ProblemKind.InvalidParameter, $"Header '{Header}' takes whole milliseconds from 1 to {MostMs}, not '{Text.Shorten(timeout)}'.");

    private static (HopRequest Request, BudgetedCall Call) Read(string? hops, string? work, string? last, string? attempts, string? unavailable, string? deaf)
    {
        var count = QueryParameters.Count("hops", hops, 1, HopOperations.Count, HopOperations.Count);
        return (
            new HopRequest(count, Work("work", work ?? "none"), last is null ? null : Work("last", last), QueryParameters.Count("deaf", deaf, 1, count, 0), QueryParameters.Count("unavailable", unavailable, 1, count, 0)),
            new BudgetedCall { MaxAttempts = QueryParameters.Count("attempts", attempts, 1, 10, 1) });
    }

    private static SimulatedWork Work(string name, string value) => SimulatedWork.TryParse(value, out var work) ? work
        : throw new ProblemException(ProblemKind.InvalidParameter, $"Parameter '{name}' takes {SimulatedWork.Accepted}, not '{Text.Shorten(value)}'.");

    private static async Task<Ok<DeadlineStats>> LedgersAsync(VariantCalls<IBudgetedCalls> calls, DeadlineRunner runner, CancellationToken cancellationToken) =>
        TypedResults.Ok(new DeadlineStats(
            await calls.CallAsync(static async (operations, token) => await operations.GetLedgersAsync(token), cancellationToken), runner.LeftBehind, runner.Detached, runner.Overruns));

    // The first use of the distributed variant may connect to Redis; the call itself has its own deadline.
    private static Task<IBudgetedCalls> ResolveAsync(VariantCalls<IBudgetedCalls> calls, CancellationToken cancellationToken) =>
        calls.CallAsync(static (operations, _) => Task.FromResult(operations), cancellationToken);
}
