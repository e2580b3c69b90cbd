using System.Globalization;
using DistributedPatterns.MapReduce.Engine;

namespace DistributedPatterns.MapReduce.Jobs;

/// <summary>How often each value of one field of delimited text occurs: what <c>cut -d';' -f3 | sort | uniq -c</c> counts.</summary>
/// <remarks>Parameters: <c>field</c>, from 1; <c>delimiter</c>, one ASCII character, or <c>tab</c>. A line with fewer fields is refused. There is no quoting.</remarks>
public sealed class FieldCountJob : IMapReduceJob
{
    private const int MaxField = 10_000;

    public string Name => "field-count";

    public string Summary => "how often each value of a field occurs; parameters: field (3 unless given, from 1), delimiter (; unless given, one ASCII character or tab)";

    public ValueFold Fold => ValueFold.Sum;

    public IRecordMapper CreateMapper(IReadOnlyDictionary<string, string> parameters)
    {
        ArgumentNullException.ThrowIfNull(parameters);
        JobParameters.CheckNames(parameters, Name, "field", "delimiter");
        var field = parameters.GetValueOrDefault("field", "3");
        if (!int.TryParse(field, NumberStyles.None, CultureInfo.InvariantCulture, out var number) || number is < 1 or > MaxField)
            throw new MapReduceRequestException($"Parameter 'field' takes a whole number from 1 to {MaxField}, not '{MapReduceInputs.Shorten(field)}'.");
        var delimiter = parameters.GetValueOrDefault("delimiter", ";");
        if (delimiter == "tab") delimiter = "\t";
        if (delimiter.Length != 1 || !char.IsAscii(delimiter[0]) || delimiter[0] is '\n' or '\r')
            throw new MapReduceRequestException($"Parameter 'delimiter' takes one ASCII character, or tab, not '{MapReduceInputs.Shorten(delimiter)}'.");
        return new FieldMapper(number, (byte)delimiter[0]);
    }

    private sealed class FieldMapper(int number, byte delimiter) : IRecordMapper
    {
        public void Map(ReadOnlySpan<byte> record, long offset, MapOutput output)
        {
            var rest = record;
            for (var passed = 1; passed < number; passed++)
            {
                var end = rest.IndexOf(delimiter);
                if (end < 0) throw new FormatException($"it has {passed} fields, and field {number} is asked for");
                rest = rest[(end + 1)..];
            }
            output.Emit(rest.IndexOf(delimiter) is >= 0 and var length ? rest[..length] : rest, 1);
        }
    }
}
