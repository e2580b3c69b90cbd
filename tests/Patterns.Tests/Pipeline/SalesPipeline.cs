using System.Globalization;
using System.Text.Json.Serialization;
using DistributedPatterns.Payloads;
using DistributedPatterns.Pipeline;

namespace DistributedPatterns.Tests.Pipeline;

public sealed record Sale(string Fruit, int Amount);

/// <summary>Lines of text parsed into records, priced by four at a time in any order, summed by name.</summary>
internal sealed class SalesPipeline
{
    private static readonly string[] s_fruits = ["apple", "pear", "Äpfel", "柿", "fig"];

    public string Name { get; init; } = "sales";

    public Func<int, string> Line { get; init; } = static i => $"{s_fruits[i % s_fruits.Length]};{i}";

    public Func<Sale, CancellationToken, ValueTask<Sale>> Price { get; init; } = async (sale, _) =>
    {
        if (sale.Amount % 3 == 0) await Task.Yield();
        return sale with { Amount = sale.Amount * 10 };
    };

    public Action<StageOptions>? ParseOptions { get; init; }

    public Action<StageOptions> PriceOptions { get; init; } = static options => (options.Degree, options.Ordered) = (4, false);

    public PipelineDefinition<Dictionary<string, long>> Define() => PipelineDefinition.Named(Name)
        .From("lines", PayloadCodec.Utf8, (input, _) => Lines(int.Parse(input, CultureInfo.InvariantCulture)).ToAsyncEnumerable())
        .Then("parse", Parse, ParseOptions)
        .ThenAsync("price", Price, PriceOptions)
        .Into("totals", PayloadCodec.Json(TestJson.Default.Sale), static () => new Dictionary<string, long>(),
            static (totals, sale) => totals[sale.Fruit] = totals.GetValueOrDefault(sale.Fruit) + sale.Amount,
            static totals => totals, TestJson.Default.DictionaryStringInt64);

    public Dictionary<string, long> Expected(int count) =>
        Lines(count).Select(Parse).GroupBy(sale => sale.Fruit).ToDictionary(sales => sales.Key, sales => sales.Sum(sale => 10L * sale.Amount));

    private static Sale Parse(string line)
    {
        var fields = line.Split(';');
        return new Sale(fields[0], int.Parse(fields[1], CultureInfo.InvariantCulture));
    }

    private IEnumerable<string> Lines(int count) => Enumerable.Range(1, count).Select(Line);
}

[JsonSerializable(typeof(Chain))]
[JsonSerializable(typeof(Sale))]
[JsonSerializable(typeof(Dictionary<string, long>))]
[JsonSerializable(typeof(int[]))]
[JsonSerializable(typeof(int[][]))]
[JsonSerializable(typeof(double))]
internal sealed partial class TestJson : JsonSerializerContext;
