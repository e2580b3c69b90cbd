using System.Text.Json.Serialization;
using DistributedPatterns.FanOutFanIn;

namespace DistributedPatterns.Gateway.FanOutFanIn;

/// <summary>What simulated work fanned out came to.</summary>
/// <param name="Checksum">The sum of the numbers of the items that are done; n(n − 1) / 2 when all are.</param>
internal sealed record FanOutReply(long Checksum, GatherSummary Summary, FirstReply? First);

/// <summary>Which candidate won.</summary>
/// <param name="Started">How many candidates were asked.</param>
/// <param name="HedgeDelayMs">How long a candidate had before the next one was asked.</param>
internal sealed record FirstReply(long Index, string Worker, int Attempt, double WaitMs, double RunMs, int Started, double HedgeDelayMs);

/// <summary>What a file was found to have.</summary>
internal sealed record ScanReply(string Input, string Find, string By, int Parts, long Lines, long Matches, GatherSummary Summary);

/// <summary>Who did what, and what is missing: asked = done + failed + missing.</summary>
internal sealed record GatherSummary(
    long Asked, long Done, long Failed, long Missing, IReadOnlyList<MissingInputs> MissingInputs, long Retried, int Abandoned,
    double ElapsedMs, double MedianMs, double SlowestMs, double StragglerRatio, IReadOnlyList<WorkerReply> Workers, IReadOnlyList<FailureReply> Failures)
{
    /// <summary>As many failures and stretches as are listed; the counts are complete.</summary>
    private const int MostListed = 20;

    public static GatherSummary Of(GatherReport report, IEnumerable<BranchException?> failures) => new(
        report.Asked, report.Done, report.Failed, report.Missing, [.. report.MissingInputs.Take(MostListed)], report.Retried, report.Abandoned,
        report.Elapsed.TotalMilliseconds, report.Median.TotalMilliseconds, report.Slowest.TotalMilliseconds, Math.Round(report.StragglerRatio, 2),
        [.. report.Workers.Select(share => new WorkerReply(share.Worker, share.Answered, share.Run.TotalMilliseconds))],
        [.. failures.OfType<BranchException>().Take(MostListed).Select(failure => new FailureReply(failure.Index, failure.Worker, failure.Reason))]);
}

internal sealed record WorkerReply(string Worker, long Answered, double RunMs);

internal sealed record FailureReply(long Index, string Worker, string Reason);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(FanOutReply))]
[JsonSerializable(typeof(ScanReply))]
[JsonSerializable(typeof(ScatterStats))]
internal sealed partial class FanOutFanInJson : JsonSerializerContext;
