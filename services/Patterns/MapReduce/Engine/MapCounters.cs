using System.Globalization;

namespace DistributedPatterns.MapReduce.Engine;

/// <summary>What a mapper counted. Added up over committed attempts only.</summary>
internal readonly record struct MapCounters(long Records, long Skipped, long Emitted, long Pairs, long Bytes, long Spills)
{
    public static MapCounters operator +(MapCounters a, MapCounters b) => new(
        a.Records + b.Records, a.Skipped + b.Skipped, a.Emitted + b.Emitted, a.Pairs + b.Pairs, a.Bytes + b.Bytes, a.Spills + b.Spills);

    public MapReduceReport ToReport(long inputBytes, ResultSize result) => new()
    {
        Bytes = inputBytes,
        Records = Records,
        Skipped = Skipped,
        Emitted = Emitted,
        Shuffled = Pairs,
        ShuffledBytes = Bytes,
        Spills = Spills,
        Keys = result.Keys,
        ResultBytes = result.Bytes,
        Sha256 = result.Sha256,
    };

    /// <summary>Writes the numbers with blanks between, to be kept with a commit.</summary>
    public string ToText() => string.Create(CultureInfo.InvariantCulture, $"{Records} {Skipped} {Emitted} {Pairs} {Bytes} {Spills}");

    public static MapCounters Parse(string text)
    {
        var numbers = Array.ConvertAll(text.Split(' '), number => long.Parse(number, CultureInfo.InvariantCulture));
        return numbers is [var records, var skipped, var emitted, var pairs, var bytes, var spills]
            ? new MapCounters(records, skipped, emitted, pairs, bytes, spills)
            : throw new FormatException($"'{text}' are no counters of a mapper.");
    }
}
