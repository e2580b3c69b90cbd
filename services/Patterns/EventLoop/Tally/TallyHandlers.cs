using System.Text.Json.Serialization;

namespace DistributedPatterns.EventLoop.Tally;

/// <summary>The handlers of the scenario: <c>tally</c> counts lines by key, <c>visit</c> and <c>visit-end</c> tell visits apart by a timer.</summary>
public static class TallyHandlers
{
    private const string Idle = "idle";

    public static LoopHandler<LineTally, TallyLine> Tally { get; } = new(
        "tally", static (tally, e, _) => LineTally.After(tally, e.Line ?? throw new LoopEventException("The field 'line' is missing.")),
        TallyJson.Default.LineTally, TallyJson.Default.TallyLine);

    public static LoopHandler<Visits, Visit> Visit { get; } = new("visit", OnVisit, TallyJson.Default.Visits, TallyJson.Default.Visit);

    public static LoopHandler<Visits, VisitEnd> VisitEnd { get; } = new(
        "visit-end", static (visits, e, _) => visits is { IsHere: true } && visits.Signs == e.Signs ? visits with { IsHere = false, Ended = visits.Ended + 1 } : visits,
        TallyJson.Default.Visits, TallyJson.Default.VisitEnd);

    private static Visits OnVisit(Visits? visits, Visit e, TurnContext turn)
    {
        var next = new Visits((visits?.Signs ?? 0) + 1, visits?.Ended ?? 0, IsHere: true);
        turn.SetTimer(Idle, TimeSpan.FromMilliseconds(Math.Clamp(e.IdleMs, 1, 3_600_000)), VisitEnd.With(new VisitEnd(next.Signs)));
        return next;
    }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(LineTally))]
[JsonSerializable(typeof(TallyLine))]
[JsonSerializable(typeof(Visits))]
[JsonSerializable(typeof(Visit))]
[JsonSerializable(typeof(VisitEnd))]
internal sealed partial class TallyJson : JsonSerializerContext;
