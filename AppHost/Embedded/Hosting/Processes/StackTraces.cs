namespace Aspire.Hosting.Processes;

/// <summary>Tells the lines of a stack trace, which say where, from those around them, which say what.</summary>
internal static class StackTraces
{
    public static bool IsPart(string line)
    {
        var text = line.AsSpan().TrimStart();
        return text.Length < line.Length && (text.StartsWith("at ", StringComparison.Ordinal) || text.StartsWith("--- End of ", StringComparison.Ordinal));
    }
}
