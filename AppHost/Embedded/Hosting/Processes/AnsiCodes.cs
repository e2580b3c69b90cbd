using System.Text.RegularExpressions;

namespace Aspire.Hosting.Processes;

internal static partial class AnsiCodes
{
    public static string Strip(string line) => line.Contains('\e') ? Code().Replace(line, "") : line;

    [GeneratedRegex(@"\e\[[0-9;]*[A-Za-z]")]
    private static partial Regex Code();
}
