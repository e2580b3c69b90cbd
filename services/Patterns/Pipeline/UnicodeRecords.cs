using System.Text.Json.Serialization;

namespace DistributedPatterns.Pipeline;

/// <summary>The fields of one line of <c>UnicodeData.txt</c> that the pipeline uses, as they stand there.</summary>
/// <param name="CodePoint">Field 0: hexadecimal.</param>
/// <param name="Name">Field 1: a name, or <c>&lt;…, First&gt;</c> and <c>&lt;…, Last&gt;</c> at the two ends of a range.</param>
/// <param name="Category">Field 2: the general category, two letters.</param>
public readonly record struct UnicodeRecord(string CodePoint, string Name, string Category);

/// <summary>A record whose fields were found valid.</summary>
public readonly record struct UnicodeCharacter(int CodePoint, string Name, string Category);

/// <summary>What one record adds to its category.</summary>
/// <param name="CodePoints">How many code points the record adds; below zero for the first end of a range.</param>
public readonly record struct CategoryShare(string Category, int CodePoints);

/// <summary>What the pipeline <c>unicode</c> makes of a file.</summary>
/// <param name="Records">How many valid records the file has.</param>
/// <param name="Categories">How many general categories occur.</param>
/// <param name="CodePoints">For how many code points the records stand, ranges included.</param>
/// <param name="ByCategory">One row a category: most records first, then by name.</param>
public sealed record UnicodeSummary(long Records, int Categories, long CodePoints, IReadOnlyList<CategorySummary> ByCategory);

/// <summary>One row of a <see cref="UnicodeSummary"/>.</summary>
public sealed record CategorySummary(string Category, long Records, long CodePoints);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(CategoryShare))]
[JsonSerializable(typeof(UnicodeSummary))]
[JsonSerializable(typeof(EchoSummary))]
internal sealed partial class PipelineScenarioJson : JsonSerializerContext;
