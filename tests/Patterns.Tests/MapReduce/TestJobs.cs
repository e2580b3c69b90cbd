using System.Globalization;
using System.Text;
using DistributedPatterns.MapReduce;
using DistributedPatterns.MapReduce.Engine;

namespace DistributedPatterns.Tests.MapReduce;

/// <summary>The longest line that begins with a letter: no sum, and nothing of words. A test may do something before a record is mapped.</summary>
internal sealed class LongestLineJob(ValueFold fold = ValueFold.Max, Action<long>? before = null) : IMapReduceJob
{
    public string Name => "longest-line";

    public string Summary => "the longest or the shortest line of each first letter";

    public ValueFold Fold => fold;

    public IRecordMapper CreateMapper(IReadOnlyDictionary<string, string> parameters) => new LineMapper(before);

    private sealed class LineMapper(Action<long>? before) : IRecordMapper
    {
        public void Map(ReadOnlySpan<byte> record, long offset, MapOutput output)
        {
            before?.Invoke(offset);
            if (record.Length > 0) output.Emit(record[..1], record.Length);
        }
    }
}

/// <summary>The results as plain code makes them, without splits, tables or files.</summary>
internal static class Plainly
{
    public static string Constitution { get; } = File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "inputs", "us-constitution.txt"));

    public static string UnicodeData { get; } = File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "inputs", "UnicodeData.txt"));

    public static string WordCount(string text) => Counts(Lines(text).SelectMany(line => Words(line.Text)));

    public static string InvertedIndex(string text) => Join(Lines(text)
        .SelectMany(line => Words(line.Text).Select(word => (Word: word, line.Offset))).Distinct()
        .GroupBy(one => one.Word).Select(group => (group.Key, string.Join(',', group.Select(one => one.Offset).Order()))));

    public static string FieldCount(string text, int field) => Counts(Lines(text).Select(line => line.Text.Split(';')[field - 1]));

    public static string LongestLine(string text, bool shortest = false) => Join(Lines(text).Where(line => line.Text.Length > 0)
        .GroupBy(line => line.Text[..1])
        .Select(group => (group.Key, Number(shortest ? group.Min(line => Encoding.UTF8.GetByteCount(line.Text)) : group.Max(line => Encoding.UTF8.GetByteCount(line.Text))))));

    private static IEnumerable<(string Text, long Offset)> Lines(string text)
    {
        var offset = 0L;
        foreach (var line in text.Split('\n'))
        {
            yield return (line.EndsWith('\r') ? line[..^1] : line, offset);
            offset += Encoding.UTF8.GetByteCount(line) + 1;
        }
    }

    private static string[] Words(string line) =>
        string.Concat(line.Select(letter => char.IsAsciiLetter(letter) ? char.ToLowerInvariant(letter) : ' ')).Split(' ', StringSplitOptions.RemoveEmptyEntries);

    private static string Counts(IEnumerable<string> keys) => Join(keys.CountBy(key => key).Select(pair => (pair.Key, Number(pair.Value))));

    private static string Join(IEnumerable<(string Key, string Value)> lines) =>
        string.Concat(lines.OrderBy(line => line.Key, StringComparer.Ordinal).Select(line => $"{line.Key}\t{line.Value}\n"));

    private static string Number(long value) => value.ToString(CultureInfo.InvariantCulture);
}
