using System.Reflection;
using DistributedPatterns.Gateway.Patterns;
using DistributedPatterns.Tests.Support;

namespace DistributedPatterns.Tests.Guarantees;

/// <summary>The README's table of guarantees is what the conformance classes say, and each word of it has a test.</summary>
public sealed class GuaranteeTableTests
{
    private static readonly Type[] s_types = typeof(GuaranteeTableTests).Assembly.GetTypes();

    private static readonly Row[] s_rows =
    [
        .. from type in s_types
           let names = type.GetCustomAttribute<GuaranteesAttribute>()
           where names is not null
           select new Row(type, names, [.. type.GetCustomAttributes<PromisesAttribute>()], [.. type.GetCustomAttributes<DoesNotPromiseAttribute>()]),
    ];

    public static TheoryData<string> Variants => [.. from pattern in GatewayPatterns.All from variant in PatternRoute.Variants select $"{pattern.Name} {variant}"];

    [Theory]
    [MemberData(nameof(Variants))]
    public void EveryVariant_SaysWhatItPromises_AndNamesTestsThatRun(string variant)
    {
        var row = Assert.Single(s_rows, row => row.Variant == variant);

        Assert.Equal(Enum.GetValues<Guarantee>(), row.Promises.Select(one => one.Guarantee).Concat(row.Others.Select(one => one.Guarantee)).Order());
        var classes = (Type[])[row.Type, .. row.Names.Others];
        foreach (var promise in row.Promises)
        {
            Assert.True(promise.ShownBy.Count > 0, $"{row.Type.Name} promises '{promise.What}', and no test shows it.");
            foreach (var name in promise.ShownBy)
            {
                var test = Assert.Single(classes.Select(type => type.GetMethod(name)).OfType<MethodInfo>());
                Assert.True(test.GetCustomAttribute<FactAttribute>() is { Explicit: false, Skip: null }, $"{name} is no test that always runs.");
                Assert.True(s_types.Any(type => !type.IsAbstract && Is(type, test.ReflectedType!)), $"{test.ReflectedType!.Name} is abstract, and nothing is one.");
            }
        }
    }

    [Fact]
    public void Rows_AreOfVariantsThatThereAre() => Assert.Empty(s_rows.Select(row => row.Variant).Except(Variants.Select(row => row.Data)));

    [Fact]
    public void Readme_HasTheTable() => MadeBlock.AssertIn("README.md", "guarantees", Lines());

    private static IEnumerable<string> Lines()
    {
        yield return "| | | order | delivery | when a process dies | a stale holder | when full |";
        yield return "|---|---|---|---|---|---|---|";
        foreach (var pattern in GatewayPatterns.All)
        {
            foreach (var variant in PatternRoute.Variants)
            {
                var row = s_rows.FirstOrDefault(row => row.Variant == $"{pattern.Name} {variant}");
                var first = variant == PatternRoute.Variants[0] ? $"[{pattern.Title}]({pattern.Article})" : "";
                yield return $"| {first} | `{variant}` | {string.Join(" | ", Enum.GetValues<Guarantee>().Select(guarantee => row?.Cell(guarantee)))} |";
            }
        }
    }

    /// <summary>Whether a type is another one or derives from it, whatever the type arguments of either.</summary>
    private static bool Is(Type? type, Type wanted)
    {
        for (; type is not null; type = type.BaseType)
            if (type == wanted || (type.IsGenericType && wanted.IsGenericType && type.GetGenericTypeDefinition() == wanted.GetGenericTypeDefinition())) return true;
        return false;
    }

    private sealed record Row(Type Type, GuaranteesAttribute Names, PromisesAttribute[] Promises, DoesNotPromiseAttribute[] Others)
    {
        public string Variant => $"{Names.Pattern} {Names.Variant}";

        public string? Cell(Guarantee guarantee) =>
            Promises.FirstOrDefault(one => one.Guarantee == guarantee)?.What ?? (Others.FirstOrDefault(one => one.Guarantee == guarantee) is { } not ? $"*{not.What}*" : null);
    }
}
