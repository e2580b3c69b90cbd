using System.Globalization;

namespace DistributedPatterns.EventLoop.Tally;

/// <summary>How many lines a key has had, and a checksum that another order, a missing line or one too many would change.</summary>
public sealed record LineTally(long Lines, string Checksum)
{
    /// <summary>Returns the tally with one more line.</summary>
    public static LineTally After(LineTally? tally, string line)
    {
        // FNV-1a over the checksum so far and the line.
        var hash = tally is null ? 14_695_981_039_346_656_037 : ulong.Parse(tally.Checksum, NumberStyles.HexNumber, CultureInfo.InvariantCulture);
        foreach (var c in line) hash = (hash ^ c) * 1_099_511_628_211;
        return new((tally?.Lines ?? 0) + 1, hash.ToString("x16", CultureInfo.InvariantCulture));
    }

    /// <summary>Returns the key that a line belongs to: in <c>UnicodeData.txt</c> 256 code points share one, elsewhere lines that begin with the same letter or digit.</summary>
    public static string KeyOf(string line)
    {
        var end = line.IndexOf(';', StringComparison.Ordinal);
        if (end is >= 4 and <= 6 && int.TryParse(line.AsSpan(0, end), NumberStyles.HexNumber, CultureInfo.InvariantCulture, out var codePoint))
            return string.Create(CultureInfo.InvariantCulture, $"block-{codePoint >> 8:X4}");
        return line is [var first, ..] && char.IsAsciiLetterOrDigit(first) ? $"letter-{char.ToLowerInvariant(first)}" : "letter-none";
    }
}

/// <summary>One more line for its key.</summary>
public sealed record TallyLine(string Line);

/// <summary>Somebody is here.</summary>
/// <param name="IdleMs">After how long without another sign the visit is over, 1 to 3,600,000.</param>
public sealed record Visit(int IdleMs);

/// <summary>Nobody came for a while.</summary>
/// <param name="Signs">How many signs there had been.</param>
public sealed record VisitEnd(int Signs);

/// <summary>The visits of a key.</summary>
/// <param name="Signs">How many signs there were.</param>
/// <param name="Ended">How many visits are over.</param>
public sealed record Visits(int Signs, int Ended, bool IsHere);
