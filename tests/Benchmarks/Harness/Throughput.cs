using System.Diagnostics;
using System.Globalization;
using System.Text;

namespace DistributedPatterns.Benchmarks.Harness;

/// <summary>Does a number of operations; throws if the outcome is wrong, for a fast wrong answer is no result.</summary>
internal abstract class ThroughputContender(string name, int operations) : Contender(name)
{
    /// <summary>Gets how many operations a round is: enough for some tenths of a second.</summary>
    public int Operations { get; } = operations;

    /// <returns>How long it took where the contender measures that itself, in a process of its own for example.</returns>
    public abstract Task<TimeSpan?> RunAsync(int operations);
}

/// <summary>Contenders side by side: interleaved rounds, every second one in reverse order, medians and ratios.</summary>
/// <remarks>
/// A machine drifts: what else runs on it, its clock, its heap. Interleaving lets drift hit all contenders, and reversing
/// takes from each its turn after the same neighbour. A ratio is the median of the rounds' ratios, not the ratio of medians.
/// </remarks>
internal sealed class Throughput(string title, string unit, string baseline, IReadOnlyList<ThroughputContender> contenders) : IBenchmark
{
    private sealed record Round(double PerSecond, double BytesEach);

    public async Task<string> RunAsync(RunSettings settings)
    {
        var absent = new List<string>();
        var measured = new Dictionary<ThroughputContender, List<Round>>();
        try
        {
            foreach (var contender in contenders)
            {
                if (await contender.SetUpAsync() is { } reason) absent.Add($"{contender.Name}: not run, {reason}");
                else measured[contender] = [];
            }

            for (var warmUp = 0; warmUp < 2; warmUp++)
                foreach (var contender in measured.Keys) await MeasureAsync(contender, settings);
            for (var round = 0; round < settings.Rounds; round++)
            {
                foreach (var contender in round % 2 == 0 ? measured.Keys : measured.Keys.Reverse())
                    measured[contender].Add(await MeasureAsync(contender, settings));
            }
        }
        finally
        {
            foreach (var contender in contenders) await contender.TearDownAsync();
        }
        return Render(measured, absent, settings);
    }

    private static async Task<Round> MeasureAsync(ThroughputContender contender, RunSettings settings)
    {
        var operations = settings.Quick ? Math.Max(1, contender.Operations / 10) : contender.Operations;
        GC.Collect();
        GC.WaitForPendingFinalizers();
        var allocated = GC.GetTotalAllocatedBytes(precise: true);
        var since = Stopwatch.GetTimestamp();
        var took = await contender.RunAsync(operations) ?? Stopwatch.GetElapsedTime(since);
        allocated = GC.GetTotalAllocatedBytes(precise: true) - allocated;
        return new Round(operations / took.TotalSeconds, (double)allocated / operations);
    }

    private string Render(Dictionary<ThroughputContender, List<Round>> measured, List<string> absent, RunSettings settings)
    {
        var compared = measured.First(pair => pair.Key.Name == baseline).Value;
        var table = new StringBuilder()
            .AppendLine(CultureInfo.InvariantCulture, $"### {title}").AppendLine()
            .AppendLine(CultureInfo.InvariantCulture, $"{settings.Rounds} rounds{(settings.Quick ? " of a tenth of the length" : "")}; × = {baseline}; spread = (largest − smallest) / median.").AppendLine()
            .AppendLine(CultureInfo.InvariantCulture, $"| | {unit}/s | × | spread | bytes each |").AppendLine("|---|---:|---:|---:|---:|");
        foreach (var (contender, rounds) in measured)
        {
            var rate = Statistics.Median(rounds.Select(round => round.PerSecond));
            var ratio = Statistics.Median(rounds.Zip(compared, (mine, other) => mine.PerSecond / other.PerSecond));
            var spread = (rounds.Max(round => round.PerSecond) - rounds.Min(round => round.PerSecond)) / rate;
            table.AppendLine(CultureInfo.InvariantCulture,
                $"| {contender.Name} | {Rate(rate)} | {ratio:0.00} | {spread:0 %} | {Statistics.Median(rounds.Select(round => round.BytesEach)):0.0} |");
        }
        foreach (var line in absent) table.AppendLine().AppendLine(line);
        return table.ToString();
    }

    private static string Rate(double perSecond) =>
        perSecond >= 1e6 ? (perSecond / 1e6).ToString("0.00 M", CultureInfo.InvariantCulture) : (perSecond / 1e3).ToString("0.0 k", CultureInfo.InvariantCulture);
}

internal static class Statistics
{
    public static double Median(IEnumerable<double> values) => Quantile([.. values.Order()], 0.5);

    /// <param name="sorted">At least one value, in rising order.</param>
    /// <param name="quantile">From 0 to 1.</param>
    public static double Quantile(double[] sorted, double quantile)
    {
        var place = quantile * (sorted.Length - 1);
        var (below, above) = (sorted[(int)place], sorted[(int)Math.Ceiling(place)]);
        return below + ((above - below) * (place - (int)place));
    }
}
