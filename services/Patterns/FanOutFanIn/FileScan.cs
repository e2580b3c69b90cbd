using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json.Serialization;
using DistributedPatterns.Payloads;
using DistributedPatterns.Pipeline;

namespace DistributedPatterns.FanOutFanIn;

/// <summary>The branch <c>scan</c>: counts in one part of a file the lines, and what is looked for. The parts' counts add up to the whole file's.</summary>
/// <remarks>
/// A part is a range of bytes, which cuts lines anywhere. A line belongs to the part in which it begins: a part leaves out
/// the line it begins in the middle of, and reads on beyond its end to finish its last one.
/// </remarks>
public static class FileScan
{
    public const string Name = "scan";

    /// <summary>The most parts of a file.</summary>
    public const int MaxParts = 1_024;

    private const int BufferBytes = 2 * TextLines.MaxLineBytes;

    /// <summary>Describes the branch.</summary>
    public static BranchDefinition<ScanPart, ScanCount> Create(PipelineInputs inputs) => new(
        Name, PayloadCodec.Json(FanOutScenarioJson.Default.ScanPart), PayloadCodec.Packed<ScanCount>(),
        (part, cancellationToken) => ScanAsync(part, inputs.PathOf(part.Input), cancellationToken));

    /// <summary>Cuts a file into parts of the same size, to a byte.</summary>
    /// <exception cref="PipelineInputException">There is no such input.</exception>
    public static IReadOnlyList<ScanPart> Cut(PipelineInputs inputs, string input, int parts, string find, ScanBy by)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(parts, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(parts, MaxParts);
        ArgumentException.ThrowIfNullOrEmpty(find);
        var length = new FileInfo(inputs.PathOf(input)).Length;
        return [.. Enumerable.Range(0, parts).Select(i => new ScanPart(input, length * i / parts, length * (i + 1) / parts, find, by))];
    }

    /// <summary>Counts in one part.</summary>
    /// <exception cref="InvalidDataException">The file has a line above <see cref="TextLines.MaxLineBytes"/>: it is no text.</exception>
    public static async ValueTask<ScanCount> ScanAsync(ScanPart part, string path, CancellationToken cancellationToken)
    {
        var count = new ScanCount();
        if (part.From == part.To) return count;
        var find = Encoding.UTF8.GetBytes(part.Find);
        var buffer = ArrayPool<byte>.Shared.Rent(BufferBytes);
        try
        {
            var file = new FileStream(path, new FileStreamOptions { BufferSize = 0, Options = FileOptions.Asynchronous });
            await using var closing = file.ConfigureAwait(false);
            // From the byte before: if it ends a line, the first line is ours.
            var position = file.Position = Math.Max(0, part.From - 1);
            var (isOurs, end) = (part.From == 0, 0);
            while (true)
            {
                var read = await file.ReadAsync(buffer.AsMemory(end, BufferBytes - end), cancellationToken).ConfigureAwait(false);
                end += read;
                var used = 0;
                while (TakeLine(buffer.AsSpan(used..end), isLast: read == 0, part.Input, out var line, out var length))
                {
                    if (position >= part.To) return count;
                    if (isOurs) count = new ScanCount(count.Lines + 1, count.Matches + Matches(line, find, part.By));
                    isOurs = true;
                    position += length;
                    used += length;
                }
                if (read == 0) return count;
                buffer.AsSpan(used..end).CopyTo(buffer);
                end -= used;
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private static bool TakeLine(ReadOnlySpan<byte> bytes, bool isLast, string input, out ReadOnlySpan<byte> line, out int length)
    {
        length = bytes.IndexOf((byte)'\n') + 1;
        if (length == 0 && isLast) length = bytes.Length;
        line = bytes[..length].TrimEnd("\r\n"u8);
        if (Math.Max(line.Length, length == 0 ? bytes.Length : 0) <= TextLines.MaxLineBytes) return length > 0;
        throw new InvalidDataException(string.Create(CultureInfo.InvariantCulture, $"'{input}' is not a text file: it has a line of more than {TextLines.MaxLineBytes:N0} bytes."));
    }

    private static int Matches(ReadOnlySpan<byte> line, ReadOnlySpan<byte> find, ScanBy by) =>
        by == ScanBy.Word ? Words(line, find) : ThirdField(line).SequenceEqual(find) ? 1 : 0;

    private static ReadOnlySpan<byte> ThirdField(ReadOnlySpan<byte> line)
    {
        for (var skipped = 0; skipped < 2; skipped++)
        {
            var end = line.IndexOf((byte)';');
            if (end < 0) return default;
            line = line[(end + 1)..];
        }
        return line.IndexOf((byte)';') is >= 0 and var length ? line[..length] : line;
    }

    private static int Words(ReadOnlySpan<byte> line, ReadOnlySpan<byte> find)
    {
        var count = 0;
        for (var from = 0; line[from..].IndexOf(find) is >= 0 and var found;)
        {
            var (start, end) = (from + found, from + found + find.Length);
            if ((start == 0 || !IsOfWord(line[start - 1])) && (end == line.Length || !IsOfWord(line[end]))) count++;
            from = end;
        }
        return count;
    }

    // Beyond ASCII everything counts as a letter: to know better, the bytes would have to be decoded.
    private static bool IsOfWord(byte value) => value >= 0x80 || char.IsAsciiLetterOrDigit((char)value) || value == '_';
}

/// <summary>A part of a file to be scanned.</summary>
/// <param name="Input">The input's name, the same everywhere.</param>
/// <param name="From">Its first byte.</param>
/// <param name="To">The byte after its last.</param>
/// <param name="Find">What to count; case matters.</param>
public sealed record ScanPart(string Input, long From, long To, string Find, ScanBy By);

/// <summary>What is compared with what is looked for.</summary>
public enum ScanBy
{
    /// <summary>Each whole word, as often as it stands in a line.</summary>
    Word,

    /// <summary>The third field of a line of <c>UnicodeData.txt</c>: the general category.</summary>
    Category,
}

/// <summary>What a part has.</summary>
public readonly record struct ScanCount(long Lines, long Matches)
{
    public static ScanCount operator +(ScanCount a, ScanCount b) => new(a.Lines + b.Lines, a.Matches + b.Matches);
}

[JsonSerializable(typeof(ScanPart))]
internal sealed partial class FanOutScenarioJson : JsonSerializerContext;
