using System.Collections.Frozen;
using System.Globalization;
using DistributedPatterns.Payloads;

namespace DistributedPatterns.Pipeline;

/// <summary>The pipeline <c>unicode</c>: counts the records and code points of each general category in a file like <c>UnicodeData.txt</c>.</summary>
/// <remarks>A line that is no valid record is diverted with its number and does not end the run; a file that is not text does.</remarks>
public static class UnicodePipeline
{
    public const string Name = "unicode";

    private const int FieldCount = 15;
    private const int MaxCodePoint = 0x10FFFF;

    // Unicode Standard, table 4-4.
    private static readonly FrozenSet<string> s_categories = FrozenSet.Create(StringComparer.Ordinal,
        "Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No", "Pc", "Pd", "Ps", "Pe",
        "Pi", "Pf", "Po", "Sm", "Sc", "Sk", "So", "Zs", "Zl", "Zp", "Cc", "Cf", "Cs", "Co", "Cn");

    private static readonly FrozenSet<string>.AlternateLookup<ReadOnlySpan<char>> s_categoryOf =
        s_categories.GetAlternateLookup<ReadOnlySpan<char>>();

    /// <summary>Describes the pipeline over the inputs of this process.</summary>
    public static PipelineDefinition<UnicodeSummary> Create(PipelineInputs inputs) => PipelineDefinition.Named(Name)
        .From("read", PayloadCodec.Utf8,
            (input, cancellationToken) => TextLines.ReadAsync(inputs.PathOf(input), input, cancellationToken),
            input => inputs.PathOf(input))
        .Then("parse", Parse, stage => stage.OnError = ItemErrorPolicy.Divert)
        .Then("validate", Validate, stage => stage.OnError = ItemErrorPolicy.Divert)
        .Then("enrich", Enrich)
        .Into("aggregate", PayloadCodec.Json(PipelineScenarioJson.Default.CategoryShare),
            () => new Dictionary<string, CategorySummary>(StringComparer.Ordinal), Add, Summarise, PipelineScenarioJson.Default.UnicodeSummary);

    internal static UnicodeRecord Parse(string line)
    {
        var text = line.AsSpan();
        Span<Range> fields = stackalloc Range[FieldCount + 1];
        var count = text.Split(fields, ';');
        if (count != FieldCount)
            throw new FormatException($"The line has {(count == 1 ? "1 field" : $"{(count > FieldCount ? $"more than {FieldCount}" : count)} fields separated by ';'")} instead of {FieldCount}.");
        // There are 30 categories: take the one string of each instead of a copy a line.
        var category = text[fields[2]];
        return new(line[fields[0]], line[fields[1]], s_categoryOf.TryGetValue(category, out var known) ? known : category.ToString());
    }

    internal static UnicodeCharacter Validate(UnicodeRecord record)
    {
        if (!int.TryParse(record.CodePoint, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var codePoint) || codePoint is < 0 or > MaxCodePoint)
            throw new FormatException($"'{PipelineInputs.Shorten(record.CodePoint)}' is no code point: hexadecimal, 0 to {MaxCodePoint:X}.");
        if (string.IsNullOrWhiteSpace(record.Name)) throw new FormatException("The name is empty.");
        if (!s_categories.Contains(record.Category))
            throw new FormatException($"'{PipelineInputs.Shorten(record.Category)}' is no general category: two letters such as Lu.");
        return new(codePoint, record.Name, record.Category);
    }

    // The two ends of a range may be handled by different workers, so they are never brought together: the first end adds
    // 1 − first, the last end adds last, and in whatever order these are summed up it is last − first + 1.
    internal static CategoryShare Enrich(UnicodeCharacter character) => new(character.Category,
        character.Name.EndsWith(", First>", StringComparison.Ordinal) ? 1 - character.CodePoint
        : character.Name.EndsWith(", Last>", StringComparison.Ordinal) ? character.CodePoint
        : 1);

    private static void Add(Dictionary<string, CategorySummary> categories, CategoryShare share)
    {
        var sum = categories.GetValueOrDefault(share.Category) ?? new(share.Category, 0, 0);
        categories[share.Category] = sum with { Records = sum.Records + 1, CodePoints = sum.CodePoints + share.CodePoints };
    }

    private static UnicodeSummary Summarise(Dictionary<string, CategorySummary> categories) => new(
        categories.Values.Sum(sum => sum.Records),
        categories.Count,
        categories.Values.Sum(sum => sum.CodePoints),
        [.. categories.Values.OrderByDescending(sum => sum.Records).ThenBy(sum => sum.Category, StringComparer.Ordinal)]);
}
