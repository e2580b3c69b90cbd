using System.ComponentModel;
using DistributedPatterns.Gateway.Patterns;
using DistributedPatterns.Gateway.Problems;
using DistributedPatterns.Supervision;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;

namespace DistributedPatterns.Gateway.Supervision;

/// <summary>Maps <c>/api/supervision/{variant}</c>.</summary>
internal sealed class SupervisionEndpoints(string variant, IServiceProvider services)
{
    private static readonly (string Name, SupervisionStrategy Strategy)[] s_strategies =
        [("one-for-one", SupervisionStrategy.OneForOne), ("one-for-all", SupervisionStrategy.OneForAll), ("rest-for-one", SupervisionStrategy.RestForOne)];

    private readonly VariantCalls<ISupervisor> _calls = new(variant, services);

    public static void Map(RouteGroupBuilder group, string variant, IServiceProvider services)
    {
        var endpoints = new SupervisionEndpoints(variant, services);
        group.MapGet("/tree", async (CancellationToken cancellationToken) => TypedResults.Ok(await endpoints.TreeAsync(cancellationToken)))
            .TakesQuery().WithSummary("Shows the children: state, restarts, owner, epoch, what they have counted; and what is left of the budget.");
        group.MapGet("/stats", async (CancellationToken cancellationToken) =>
                TypedResults.Ok(await endpoints.TreeAsync(cancellationToken) is var tree ? new SupervisionStats(tree.Ledger, tree.Counters, tree.Budget) : null))
            .TakesQuery().WithSummary("Reads what has become of all starts.");
        foreach (var signal in (ChildSignal[])[ChildSignal.Crash, ChildSignal.Hang, ChildSignal.Exit])
        {
            group.MapPost($"/children/{{id}}/{signal.ToString().ToLowerInvariant()}", (string id, CancellationToken cancellationToken) => endpoints.SignalAsync(id, signal, cancellationToken))
                .TakesQuery().WithSummary($"Tells a child to {signal.ToString().ToLowerInvariant()}; the tree shows what the supervisor does about it.");
        }
        group.MapPut("/strategy", ([FromQuery, Description("one-for-one, one-for-all or rest-for-one.")] string? use, CancellationToken cancellationToken) =>
                endpoints.SetStrategyAsync(use, cancellationToken))
            .TakesQuery("use").WithSummary("Changes which children a failure takes with it.");
        group.MapPost("/reset", (CancellationToken cancellationToken) => endpoints.ResetAsync(cancellationToken))
            .TakesQuery().WithSummary("Fills the budget, and starts all children anew after an escalation.");
    }

    private Task<SupervisionTree> TreeAsync(CancellationToken cancellationToken) =>
        _calls.CallAsync((supervisor, token) => supervisor.GetTreeAsync(token).AsTask(), cancellationToken);

    private async Task<Accepted<SignalReply>> SignalAsync(string child, ChildSignal signal, CancellationToken cancellationToken)
    {
        var epoch = await _calls.CallAsync((supervisor, token) => supervisor.SignalAsync(child, signal, token).AsTask(), cancellationToken);
        var tree = $"/api/supervision/{variant}/tree";
        return TypedResults.Accepted(tree, new SignalReply(child, signal, epoch, tree));
    }

    private async Task<Ok<StrategyReply>> SetStrategyAsync(string? use, CancellationToken cancellationToken)
    {
        var known = Array.Find(s_strategies, known => known.Name.Equals(use, StringComparison.OrdinalIgnoreCase));
        if (known.Name is null)
            throw new ProblemException(ProblemKind.InvalidParameter, $"Parameter 'use' takes {string.Join(" or ", s_strategies.Select(one => one.Name))}, not '{Text.Shorten(use ?? "")}'.");
        await _calls.CallAsync(async (supervisor, token) =>
        {
            await supervisor.SetStrategyAsync(known.Strategy, token);
            return true;
        }, cancellationToken);
        return TypedResults.Ok(new StrategyReply(known.Strategy));
    }

    private async Task<NoContent> ResetAsync(CancellationToken cancellationToken)
    {
        await _calls.CallAsync(async (supervisor, token) =>
        {
            await supervisor.ResetAsync(token);
            return true;
        }, cancellationToken);
        return TypedResults.NoContent();
    }
}
