using System.Diagnostics.CodeAnalysis;
using System.Globalization;

namespace DistributedPatterns.Benchmarks.Harness;

/// <summary>What the command line asks for.</summary>
/// <param name="Pattern">The pattern whose tables to print; <see langword="null"/> for all.</param>
internal sealed record RunSettings(string? Pattern, int Rounds, bool Quick, bool List)
{
    public const int MinRounds = 7;

    public static bool TryParse(
        string[] args, IReadOnlyCollection<string> patterns, [NotNullWhen(true)] out RunSettings? settings, [NotNullWhen(false)] out string? problem)
    {
        (settings, problem) = (null, null);
        var parsed = new RunSettings(null, MinRounds, Quick: false, List: false);
        for (var i = 0; i < args.Length && problem is null; i++)
        {
            switch (args[i])
            {
                case "--list":
                    parsed = parsed with { List = true };
                    break;
                case "--quick":
                    parsed = parsed with { Quick = true };
                    break;
                case "--rounds" when i + 1 < args.Length && int.TryParse(args[i + 1], CultureInfo.InvariantCulture, out var rounds) && rounds is >= 1 and <= 1000:
                    parsed = parsed with { Rounds = rounds };
                    i++;
                    break;
                case "--rounds":
                    problem = $"--rounds takes a number from 1 to 1,000, not '{args.ElementAtOrDefault(i + 1)}'. Below {MinRounds} the medians say little.";
                    break;
                case var name when parsed.Pattern is null && patterns.Contains(name):
                    parsed = parsed with { Pattern = name };
                    break;
                default:
                    problem = $"'{args[i]}' is no pattern and no option.";
                    break;
            }
        }
        if (problem is not null)
        {
            problem += $"{Environment.NewLine}Usage: [<pattern>] [--rounds n] [--quick] | --list. Without a pattern all run: {string.Join(", ", patterns)}.";
            return false;
        }
        settings = parsed;
        return true;
    }
}
