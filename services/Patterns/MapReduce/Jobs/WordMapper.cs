using DistributedPatterns.MapReduce.Engine;

namespace DistributedPatterns.MapReduce.Jobs;

/// <summary>Emits each word of a record, a run of ASCII letters in lower case, with one or with the record's offset.</summary>
internal sealed class WordMapper(bool withOffset) : IRecordMapper
{
    private static readonly byte[] s_lower = Lower(); // 0 for what is no letter

    private byte[] _word = new byte[256];

    public void Map(ReadOnlySpan<byte> record, long offset, MapOutput output)
    {
        if (_word.Length < record.Length) _word = new byte[record.Length * 2];
        var (word, length, value) = (_word, 0, withOffset ? offset : 1);
        foreach (var letter in record)
        {
            var lower = s_lower[letter];
            if (lower != 0)
            {
                word[length++] = lower;
            }
            else if (length > 0)
            {
                output.Emit(word.AsSpan(0, length), value);
                length = 0;
            }
        }
        if (length > 0) output.Emit(word.AsSpan(0, length), value);
    }

    private static byte[] Lower()
    {
        var lower = new byte[256];
        for (var letter = 'a'; letter <= 'z'; letter++) lower[letter] = lower[letter - 'a' + 'A'] = (byte)letter;
        return lower;
    }
}
