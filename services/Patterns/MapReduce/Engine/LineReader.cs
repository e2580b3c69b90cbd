using System.Buffers;
using Microsoft.Win32.SafeHandles;

namespace DistributedPatterns.MapReduce.Engine;

/// <summary>Reads the lines that begin in a range of a file, in blocks, without copying a line that lies in one block.</summary>
/// <remarks>A range cuts lines anywhere: the line in the middle of which it begins is left out, and its last one is read to its end beyond it.</remarks>
internal sealed class LineReader : IDisposable
{
    private const int BlockBytes = 256 * 1024;
    private const int LookAheadBytes = 4 * 1024; // beyond the range, for the end of its last line

    private readonly SafeFileHandle _file;
    private readonly long _to;
    private readonly int _longest;
    private byte[] _buffer;
    private long _readTo; // of the file
    private int _begin;
    private int _end;
    private int _searched; // from _begin on there is no line's end so far
    private bool _isOurs;
    private bool _isAtEnd;
    private long _tooLongFrom = -1; // a line beyond the limit whose rest is passed over begins here

    public LineReader(SafeFileHandle file, Split split, int longest)
    {
        (_file, _to, _longest) = (file, split.To, longest);
        _buffer = ArrayPool<byte>.Shared.Rent((int)Math.Min(BlockBytes, split.To - split.From + LookAheadBytes));
        // From the byte before: if it ends a line, the first line is ours.
        _isOurs = split.From == 0;
        _readTo = Math.Max(0, split.From - 1);
    }

    private long Position => _readTo - (_end - _begin);

    /// <summary>Reads the next block. False when every line of the range was taken.</summary>
    public async ValueTask<bool> FillAsync(CancellationToken cancellationToken)
    {
        // The rest of a line beyond the limit is only looked for when the line is one of ours.
        if (_isAtEnd || (Position >= _to && (_tooLongFrom < 0 || !_isOurs))) return false;
        if (_begin > 0) _buffer.AsSpan(_begin.._end).CopyTo(_buffer);
        (_begin, _end) = (0, _end - _begin);
        if (_end == _buffer.Length) MakeRoom();
        var wanted = (int)Math.Min(_buffer.Length - _end, Math.Max(_to - _readTo, LookAheadBytes));
        var read = await RandomAccess.ReadAsync(_file, _buffer.AsMemory(_end, wanted), _readTo, cancellationToken).ConfigureAwait(false);
        (_end, _readTo, _isAtEnd) = (_end + read, _readTo + read, read == 0);
        return true;
    }

    /// <summary>Takes the next line of the block, without its end. One beyond the limit comes cut off, but still beyond it.</summary>
    public bool TryTake(out ReadOnlySpan<byte> line, out long offset)
    {
        while (true)
        {
            offset = Position;
            line = default;
            if (_tooLongFrom < 0 && offset >= _to) return false;
            var rest = _buffer.AsSpan(_begin.._end);
            var end = rest[_searched..].IndexOf((byte)'\n');
            if (end < 0 && !(_isAtEnd && (rest.Length > 0 || _tooLongFrom >= 0)))
            {
                _searched = rest.Length;
                return false;
            }
            var length = end < 0 ? rest.Length : _searched + end;
            line = rest[..length];
            (_begin, _searched) = (_begin + Math.Min(length + 1, rest.Length), 0);
            if (_tooLongFrom >= 0)
            {
                (offset, _tooLongFrom) = (_tooLongFrom, -1);
                line = _buffer.AsSpan(0, _longest + 1); // what it was does not matter any more
            }
            else if (line is [.., (byte)'\r'])
            {
                line = line[..^1];
            }
            if (_isOurs) return true;
            _isOurs = true;
        }
    }

    public void Dispose() => ArrayPool<byte>.Shared.Return(_buffer);

    private void MakeRoom()
    {
        if (_end > _longest + 1)
        {
            // The line goes on, and nobody will get it: only its end is looked for.
            if (_tooLongFrom < 0) _tooLongFrom = Position;
            (_end, _searched) = (0, 0);
            return;
        }
        var larger = ArrayPool<byte>.Shared.Rent(Math.Min(_buffer.Length * 2, Math.Max(_longest + 2, _buffer.Length + 1)));
        _buffer.AsSpan(0, _end).CopyTo(larger);
        ArrayPool<byte>.Shared.Return(_buffer);
        _buffer = larger;
    }
}
