using DistributedPatterns.FanOutFanIn;
using DistributedPatterns.Gateway.Problems;
using DistributedPatterns.Scenarios;

namespace DistributedPatterns.Gateway.FanOutFanIn;

internal static class FanOutLimits
{
    public const int MaxItems = 100_000;
    public const int MaxCandidates = 11;
    public static readonly TimeSpan Shortest = TimeSpan.FromMilliseconds(1);
    public static readonly TimeSpan Longest = TimeSpan.FromSeconds(60);
    public static readonly TimeSpan Deadline = TimeSpan.FromSeconds(10);
}

/// <summary>The values of <c>mode</c>.</summary>
internal enum FanOutMode
{
    All,
    Partial,
    First,
}

/// <summary>The values of <c>order</c>.</summary>
internal enum OrderWord
{
    Completed,
    Asked,
}

/// <summary>The values of <c>hedge</c>.</summary>
internal enum HedgeWord
{
    P95,
    Off,
}

/// <summary>What a request for simulated work asks for, as it was written.</summary>
internal sealed record FanOutQuery(
    string? N, string? Degree, string? Mode, string? Order, string? Errors, string? Deadline, string? Work, string? Hedge, string? Fail)
{
    /// <exception cref="ProblemException">A parameter is not accepted.</exception>
    public (FanOutMode Mode, IReadOnlyList<WorkItem> Items, ScatterOptions<WorkItem> Options, FirstStart Start) Read()
    {
        var mode = QueryParameters.Choice("mode", Mode, FanOutMode.All);
        var count = mode == FanOutMode.First ? QueryParameters.Count("n", N, 1, FanOutLimits.MaxCandidates, 3) : QueryParameters.Count("n", N, 1, FanOutLimits.MaxItems, 16);
        if (!SimulatedWork.TryParse(Work ?? "none", out var work))
            throw new ProblemException(ProblemKind.InvalidParameter, $"Parameter 'work' takes {SimulatedWork.Accepted}, not '{Text.Shorten(Work!)}'.");
        var failing = Fail is null ? -1 : QueryParameters.Count("fail", Fail, 0, count - 1, -1);
        var hedge = QueryParameters.Choice("hedge", Hedge, HedgeWord.P95);
        if (Hedge is not null && mode != FanOutMode.First) throw new ProblemException(ProblemKind.InvalidParameter, "Parameter 'hedge' goes with mode=first.");
        var options = new ScatterOptions<WorkItem>
        {
            Degree = Degree is null ? null : QueryParameters.Count("degree", Degree, 1, 1_024, 1),
            Order = QueryParameters.Choice("order", Order, OrderWord.Completed) == OrderWord.Asked ? GatherOrder.AsAsked : GatherOrder.AsCompleted,
            OnError = QueryParameters.Choice("errors", Errors, BranchErrorPolicy.Stop),
            Deadline = QueryParameters.Time("deadline", Deadline, FanOutLimits.Shortest, FanOutLimits.Longest, FanOutLimits.Deadline),
            AtDeadline = mode == FanOutMode.Partial ? DeadlinePolicy.Partial : DeadlinePolicy.Fail,
        };
        return (mode, [.. Enumerable.Range(0, count).Select(i => new WorkItem(i, failing, work))], options, hedge == HedgeWord.P95 ? FirstStart.Hedged : FirstStart.Together);
    }
}

/// <summary>What a request for a scan asks for, as it was written.</summary>
internal sealed record ScanQuery(string Input, string? Find, string? By, string? Parts, string? Degree, string? Deadline)
{
    /// <exception cref="ProblemException">A parameter is not accepted.</exception>
    public (string Find, ScanBy By, int Parts, ScatterOptions<ScanPart> Options) Read()
    {
        if (Find is not { Length: >= 1 and <= 100 })
            throw new ProblemException(ProblemKind.InvalidParameter, "Parameter 'find' takes what to count, 1 to 100 characters: a category such as Lo, or a word.");
        var by = QueryParameters.Choice("by", By, Input == "unicode-data" ? ScanBy.Category : ScanBy.Word);
        return (Find, by, QueryParameters.Count("parts", Parts, 1, FileScan.MaxParts, 16), new ScatterOptions<ScanPart>
        {
            Degree = Degree is null ? null : QueryParameters.Count("degree", Degree, 1, 1_024, 1),
            Deadline = QueryParameters.Time("deadline", Deadline, FanOutLimits.Shortest, FanOutLimits.Longest, FanOutLimits.Deadline),
        });
    }
}
