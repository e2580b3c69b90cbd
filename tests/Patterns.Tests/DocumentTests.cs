using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;

namespace DistributedPatterns.Tests;

/// <summary>The documents say what the code says: quoted code is compiled code, and links lead somewhere.</summary>
public sealed partial class DocumentTests
{
    private static readonly string[] s_folders = ["services", "docs", "tests", "."];

    internal static string Root { get; } = Path.GetFullPath(Path.Combine(Path.GetDirectoryName(Here())!, "..", ".."));

    public static TheoryData<string> Documents =>
        [.. s_folders
            .SelectMany(folder => Directory.EnumerateFiles(
                Path.Combine(Root, folder), "*.md", folder == "." ? SearchOption.TopDirectoryOnly : SearchOption.AllDirectories))
            .Select(path => Path.GetRelativePath(Root, path))
            .Where(path => !path.Split('/', '\\').Any(part => part is "bin" or "obj"))];

    [Theory]
    [MemberData(nameof(Documents))]
    public void QuotedCode_NamesItsFile_AndStandsThere(string document)
    {
        foreach (Match quote in Quote().Matches(Read(document)))
        {
            var file = quote.Groups["file"].Value;
            Assert.True(File.Exists(Path.Combine(Root, file)), $"{document} quotes {file}, which does not exist.");
            var source = string.Join('\n', Lines(Read(file)));
            Assert.True(source.Contains(string.Join('\n', Lines(quote.Groups["code"].Value)), StringComparison.Ordinal), $"{document} quotes what is not in {file}:\n{quote.Groups["code"].Value}");
        }
        Assert.Equal(CSharpFence().Count(Read(document)), Quote().Count(Read(document)));
    }

    [Theory]
    [MemberData(nameof(Documents))]
    public void Links_ToFiles_LeadSomewhere(string document)
    {
        foreach (Match link in Link().Matches(Read(document)))
        {
            var target = link.Groups["target"].Value;
            if (target.Contains("://", StringComparison.Ordinal) || target.StartsWith('#')) continue;
            var path = Path.Combine(Root, Path.GetDirectoryName(document)!, target.Split('#')[0]);
            Assert.True(Path.Exists(path), $"{document} links to {target}, which does not exist.");
        }
    }

    // Indentation may differ: a quote stands at the margin.
    private static IEnumerable<string> Lines(string text) => text.Split('\n').Select(line => line.Trim()).Where(line => line.Length > 0);

    private static string Read(string path) => File.ReadAllText(Path.Combine(Root, path)).ReplaceLineEndings("\n");

    private static string Here([CallerFilePath] string path = "") => path;

    [GeneratedRegex(@"<!-- from (?<file>\S+) -->\n```csharp\n(?<code>.*?)```", RegexOptions.Singleline)]
    private static partial Regex Quote();

    [GeneratedRegex("^```csharp", RegexOptions.Multiline)]
    private static partial Regex CSharpFence();

    [GeneratedRegex(@"\]\((?<target>[^)\s]+)\)")]
    private static partial Regex Link();
}
