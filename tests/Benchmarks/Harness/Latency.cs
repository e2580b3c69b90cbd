using System.Globalization;
using System.Text;

namespace DistributedPatterns.Benchmarks.Harness;

/// <summary>Measures single operations, one after the other.</summary>
internal abstract class LatencyContender(string name, int samples) : Contender(name)
{
    public int Samples { get; } = samples;

    /// <returns>How long each operation took, in microseconds.</returns>
    public abstract Task<double[]> SampleAsync(int samples);
}

/// <summary>Percentiles of each round, and the median of the rounds.</summary>
internal sealed class Latency(string title, IReadOnlyList<LatencyContender> contenders) : IBenchmark
{
    public async Task<string> RunAsync(RunSettings settings)
    {
        var measured = contenders.ToDictionary(contender => contender, _ => new List<double[]>());
        try
        {
            foreach (var contender in contenders)
            {
                if (await contender.SetUpAsync() is { } reason) throw new InvalidOperationException($"{contender.Name}: {reason}");
                await contender.SampleAsync(contender.Samples / 10);
            }
            for (var round = 0; round < settings.Rounds; round++)
            {
                foreach (var contender in round % 2 == 0 ? contenders : contenders.Reverse())
                {
                    var samples = await contender.SampleAsync(settings.Quick ? contender.Samples / 10 : contender.Samples);
                    Array.Sort(samples);
                    measured[contender].Add(samples);
                }
            }
        }
        finally
        {
            foreach (var contender in contenders) await contender.TearDownAsync();
        }

        var table = new StringBuilder()
            .AppendLine(CultureInfo.InvariantCulture, $"### {title}").AppendLine()
            .AppendLine("| | p50 µs | p99 µs |").AppendLine("|---|---:|---:|");
        foreach (var (contender, rounds) in measured)
        {
            table.AppendLine(CultureInfo.InvariantCulture,
                $"| {contender.Name} | {Statistics.Median(rounds.Select(r => Statistics.Quantile(r, 0.5))):0.0} | {Statistics.Median(rounds.Select(r => Statistics.Quantile(r, 0.99))):0.0} |");
        }
        return table.ToString();
    }
}
