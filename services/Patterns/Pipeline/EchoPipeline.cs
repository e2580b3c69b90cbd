using System.Globalization;
using DistributedPatterns.Payloads;

namespace DistributedPatterns.Pipeline;

/// <summary>The pipeline <c>echo</c>: counts from 1 to n through three stages that do next to nothing, so that what is left is the pattern's own cost.</summary>
/// <remarks>Its input is n as text. Item i reaches the sink as 2i, so the checksum of a complete run is n(n + 1).</remarks>
public static class EchoPipeline
{
    public const string Name = "echo";

    /// <summary>The largest n.</summary>
    public const int MaxCount = 10_000_000;

    /// <summary>Describes the pipeline.</summary>
    public static PipelineDefinition<EchoSummary> Create() => PipelineDefinition.Named(Name)
        .From("count", PayloadCodec.Packed<int>(), input => Enumerable.Range(1, Parse(input)), input => Parse(input))
        .Then("increment", item => item + 1)
        .Then("double", item => item * 2)
        .Then("decrement", item => item - 2)
        .Into("sum", PayloadCodec.Packed<int>(), () => new Sum(),
            (sum, item) =>
            {
                sum.Count++;
                sum.Checksum += item;
            },
            sum => new EchoSummary(sum.Count, sum.Checksum), PipelineScenarioJson.Default.EchoSummary);

    private static int Parse(string input) =>
        int.TryParse(input, NumberStyles.None, CultureInfo.InvariantCulture, out var count) && count is >= 1 and <= MaxCount
            ? count
            : throw new PipelineInputException(string.Create(CultureInfo.InvariantCulture,
                $"'{PipelineInputs.Shorten(input)}' is no count for the pipeline '{Name}': a whole number from 1 to {MaxCount:N0}, without separators."));

    private sealed class Sum
    {
        public long Count;
        public long Checksum;
    }
}

/// <summary>What the pipeline <c>echo</c> makes of its items.</summary>
/// <param name="Count">How many items reached the sink.</param>
/// <param name="Checksum">Their sum.</param>
public sealed record EchoSummary(long Count, long Checksum);
