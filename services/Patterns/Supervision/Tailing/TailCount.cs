using System.Globalization;
using System.Numerics;

namespace DistributedPatterns.Supervision.Tailing;

/// <summary>How far a tail has read, what it has counted so far, and what it has to know of the last byte. Written <c>offset value carry</c>.</summary>
public readonly record struct TailCount(long Offset, long Value, uint Carry)
{
    /// <summary>Reads what <see cref="ToString"/> writes; nothing is the start of the log.</summary>
    /// <exception cref="FormatException">It is something else.</exception>
    public static TailCount Parse(string? text)
    {
        if (text is null) return default;
        return text.Split(' ') is [var offset, var value, var carry]
            ? new(long.Parse(offset, CultureInfo.InvariantCulture), long.Parse(value, CultureInfo.InvariantCulture), uint.Parse(carry, CultureInfo.InvariantCulture))
            : throw new FormatException($"'{text}' is no count of a tail.");
    }

    /// <summary>Counts line feeds.</summary>
    public static TailCount Lines(TailCount before, ReadOnlySpan<byte> bytes) =>
        before with { Offset = before.Offset + bytes.Length, Value = before.Value + bytes.Count((byte)'\n') };

    /// <summary>Counts words as <c>wc</c> does: what begins after white space. A word may lie across two reads.</summary>
    public static TailCount Words(TailCount before, ReadOnlySpan<byte> bytes)
    {
        var (words, isInWord) = (before.Value, before.Carry == 1);
        foreach (var b in bytes)
        {
            var isWord = b is not ((byte)' ' or (>= (byte)'\t' and <= (byte)'\r'));
            if (isWord && !isInWord) words++;
            isInWord = isWord;
        }
        return new(before.Offset + bytes.Length, words, isInWord ? 1u : 0);
    }

    /// <summary>Keeps a CRC-32C over all bytes, so that one that was left out or read twice shows; its value is how many bytes there were.</summary>
    public static TailCount Checksum(TailCount before, ReadOnlySpan<byte> bytes)
    {
        var crc = ~before.Carry;
        foreach (var b in bytes) crc = BitOperations.Crc32C(crc, b);
        return new(before.Offset + bytes.Length, before.Value + bytes.Length, ~crc);
    }

    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Offset} {Value} {Carry}");
}
