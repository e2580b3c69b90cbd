using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Unicode;

namespace DistributedPatterns.Pipeline;

/// <summary>Reads a text file line by line in bounded memory.</summary>
/// <remarks>A line ends with LF or CR LF; the last one may end without. A byte order mark is no part of the first line.</remarks>
public static class TextLines
{
    /// <summary>How long a line may be, in bytes of UTF-8. A binary file often has no line's end at all, and must not fill the memory.</summary>
    public const int MaxLineBytes = 64 * 1024;

    private const int BufferBytes = 2 * MaxLineBytes;

    /// <summary>Yields the lines of a file.</summary>
    /// <param name="path">The file.</param>
    /// <param name="name">What to call the file in errors.</param>
    /// <exception cref="InvalidDataException">The file is not text: a line above <see cref="MaxLineBytes"/>, a NUL, or bytes that are not UTF-8.</exception>
    public static async IAsyncEnumerable<string> ReadAsync(
        string path, string name, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        var file = new FileStream(path, new FileStreamOptions { BufferSize = 0, Options = FileOptions.Asynchronous | FileOptions.SequentialScan });
        await using var closing = file.ConfigureAwait(false);
        var lines = new LineBuffer(name);
        for (var isLast = false; !isLast;)
        {
            isLast = !await lines.FillAsync(file, cancellationToken).ConfigureAwait(false);
            while (lines.TryTake(isLast, out var line)) yield return line;
        }
    }

    private sealed class LineBuffer(string name)
    {
        private readonly byte[] _bytes = new byte[BufferBytes];
        private int _start;
        private int _end;
        private bool _begun;

        public async ValueTask<bool> FillAsync(Stream file, CancellationToken cancellationToken)
        {
            _bytes.AsSpan(_start.._end).CopyTo(_bytes);
            (_start, _end) = (0, _end - _start);
            var read = await file.ReadAsync(_bytes.AsMemory(_end), cancellationToken).ConfigureAwait(false);
            _end += read;
            if (!_begun && _bytes.AsSpan(0, _end).StartsWith(Encoding.UTF8.Preamble)) _start = Encoding.UTF8.Preamble.Length;
            _begun = true;
            return read > 0;
        }

        public bool TryTake(bool isLast, out string line)
        {
            var rest = _bytes.AsSpan(_start.._end);
            var length = rest.IndexOf((byte)'\n');
            var next = _start + length + 1;
            if (length < 0)
            {
                if (rest.Length > MaxLineBytes) throw NotText($"it has a line of more than {Number(MaxLineBytes)} bytes");
                line = "";
                if (!isLast || rest.IsEmpty) return false;
                (length, next) = (rest.Length, _end);
            }

            var bytes = rest[..length];
            if (bytes.EndsWith("\r"u8)) bytes = bytes[..^1];
            if (bytes.Length > MaxLineBytes) throw NotText($"it has a line of {Number(bytes.Length)} bytes, and {Number(MaxLineBytes)} are allowed");
            if (bytes.Contains((byte)0)) throw NotText("it has a NUL byte");
            // A line's end is never part of a longer UTF-8 sequence, so each line can be judged alone.
            if (!Utf8.IsValid(bytes)) throw NotText("it has bytes that are not UTF-8");
            line = Encoding.UTF8.GetString(bytes);
            _start = next;
            return true;
        }

        private InvalidDataException NotText(string why) => new($"'{name}' is not a text file: {why}.");

        private static string Number(int value) => value.ToString("N0", CultureInfo.InvariantCulture);
    }
}
