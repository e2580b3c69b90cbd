using System.Globalization;
using System.Text;

namespace DistributedPatterns.Gateway.Uploads;

/// <summary>Judges bytes as they come: text is UTF-8 without NUL. Keeps nothing but the end of the last block.</summary>
internal sealed class TextScan
{
    private readonly Decoder _decoder = new UTF8Encoding(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true).GetDecoder();
    private readonly char[] _chars = new char[4096];
    private long _position;

    /// <summary>Scans the next block.</summary>
    /// <exception cref="InvalidDataException">It is not text.</exception>
    public void Add(ReadOnlySpan<byte> block)
    {
        if (block.IndexOf((byte)0) is >= 0 and var nul) throw NotText($"byte {Number(_position + nul + 1)} is NUL");
        Decode(block, flush: false);
        _position += block.Length;
    }

    /// <summary>Ends the scan.</summary>
    /// <exception cref="InvalidDataException">The file ends in the middle of a character.</exception>
    public void End() => Decode([], flush: true);

    private void Decode(ReadOnlySpan<byte> block, bool flush)
    {
        try
        {
            bool completed;
            do
            {
                _decoder.Convert(block, _chars, flush, out var used, out _, out completed);
                block = block[used..];
            }
            while (!completed);
        }
        catch (DecoderFallbackException)
        {
            throw NotText($"it has bytes that are not UTF-8 after byte {Number(_position)}");
        }
    }

    private static InvalidDataException NotText(string why) => new($"The uploaded file is not text: {why}.");

    private static string Number(long value) => value.ToString("N0", CultureInfo.InvariantCulture);
}
