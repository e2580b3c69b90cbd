namespace DistributedPatterns.Tests.Support;

/// <summary>A part of a document that is made from the code, between two comments.</summary>
internal static class MadeBlock
{
    public static void AssertIn(string document, string name, IEnumerable<string> lines)
    {
        var block = $"<!-- made from the code: {name} -->\n{string.Join('\n', lines)}\n<!-- end of {name} -->\n";
        var text = File.ReadAllText(Path.Combine(DocumentTests.Root, document)).ReplaceLineEndings("\n");
        Assert.True(text.Contains(block, StringComparison.Ordinal), $"{document} is to have these lines:\n{block}");
    }
}
