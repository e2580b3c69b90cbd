using System.Text.Json.Serialization;
using DistributedPatterns.Payloads;
using DistributedPatterns.Scenarios;

namespace DistributedPatterns.Deadlines;

/// <summary>The operations that ship: a chain of hops, producer → worker → reducer, each with some work before it calls the next one. One budget is for all.</summary>
public static class HopOperations
{
    /// <summary>How many hops there are.</summary>
    public const int Count = 3;

    private static readonly string[] s_roles = ["producer", "worker", "reducer"];

    /// <summary>Returns the name of a hop, from 1.</summary>
    public static string NameOf(int hop) => $"hop-{hop}";

    /// <summary>Describes all hops.</summary>
    public static IEnumerable<OperationDefinition> Create(TimeProvider time) => Enumerable.Range(1, Count).Select(hop => new OperationDefinition<HopRequest, HopReply>(
        NameOf(hop), s_roles[hop - 1], PayloadCodec.Json(HopJson.Default.HopRequest), PayloadCodec.Json(HopJson.Default.HopReply),
        (request, context) => RunAsync(hop, request, time, context)));

    private static async ValueTask<HopReply> RunAsync(int hop, HopRequest request, TimeProvider time, OperationContext context)
    {
        var (began, budget) = (time.GetTimestamp(), context.Deadline.Remaining);
        if (request.Unavailable == hop && context.Attempt == 1)
            throw new OperationUnavailableException(NameOf(hop), "it was asked to fail once");
        // Work that ignores its token is the case that a budget has to survive.
        var work = hop == request.Hops && request.Last is { } last ? last : request.Work;
        await work.RunAsync(time, request.Deaf == hop ? CancellationToken.None : context.Token).ConfigureAwait(false);
        var worked = time.GetElapsedTime(began);
        var further = hop < request.Hops
            ? await context.Calls.CallAsync<HopRequest, HopReply>(NameOf(hop + 1), request, context.Deadline, null, context.Token).ConfigureAwait(false)
            : new HopReply([]);
        var used = new HopUse(hop, context.Process, context.Attempt, budget.TotalMilliseconds, worked.TotalMilliseconds, time.GetElapsedTime(began).TotalMilliseconds);
        return new HopReply([used, .. further.Hops]);
    }
}

/// <summary>What a hop is asked.</summary>
/// <param name="Hops">How many hops there are to be, 1 to <see cref="HopOperations.Count"/>.</param>
/// <param name="Work">What each of them does.</param>
/// <param name="Last">What the last one does instead, if anything else.</param>
/// <param name="Deaf">The hop that ignores its cancellation; 0 for none.</param>
/// <param name="Unavailable">The hop that is not available at the first attempt; 0 for none.</param>
public sealed record HopRequest(int Hops, SimulatedWork Work, SimulatedWork? Last = null, int Deaf = 0, int Unavailable = 0);

/// <summary>What this hop and those behind it used.</summary>
public sealed record HopReply(IReadOnlyList<HopUse> Hops);

/// <summary>What a hop used of the budget.</summary>
/// <param name="BudgetMs">What was left when it began.</param>
/// <param name="WorkMs">How long its own work took.</param>
/// <param name="TotalMs">The same with the hops behind it.</param>
public sealed record HopUse(int Hop, string Process, int Attempt, double BudgetMs, double WorkMs, double TotalMs);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(HopRequest))]
[JsonSerializable(typeof(HopReply))]
internal sealed partial class HopJson : JsonSerializerContext;
