using Microsoft.Win32.SafeHandles;

namespace DistributedPatterns.MapReduce.Engine;

/// <summary>Reads the pairs of one partition of a run, in order, with a buffer of 64 KiB.</summary>
internal sealed class RunCursor(SafeFileHandle file, long from, long to)
{
    private const int BufferBytes = 64 * 1024;

    private readonly byte[] _buffer = new byte[BufferBytes];
    private long _position = from;
    private byte[] _key = [];
    private int _keyLength;
    private int _begin;
    private int _end;
    private long _valuesLeft;

    public ReadOnlySpan<byte> Key => _key.AsSpan(0, _keyLength);

    public ulong Prefix { get; private set; }

    public long Value { get; private set; }

    /// <exception cref="InvalidDataException">The run is damaged.</exception>
    public bool MoveNext()
    {
        if (_valuesLeft > 0)
        {
            Value += (long)ReadNumber();
            _valuesLeft--;
            return true;
        }
        if (_begin == _end && _position == to) return false;
        ReadKey();
        _valuesLeft = (long)ReadNumber() - 1;
        var first = ReadNumber();
        Value = (long)(first >> 1) ^ -(long)(first & 1);
        return true;
    }

    private void ReadKey()
    {
        var length = ReadNumber();
        if (length > (ulong)(to - _position + _end - _begin)) throw new InvalidDataException("A run is damaged: it has a key beyond its end.");
        _keyLength = (int)length;
        if (_key.Length < _keyLength) _key = new byte[_keyLength * 2];
        for (var done = 0; done < _keyLength;)
        {
            if (_begin == _end) Fill();
            var some = Math.Min(_keyLength - done, _end - _begin);
            _buffer.AsSpan(_begin, some).CopyTo(_key.AsSpan(done));
            (done, _begin) = (done + some, _begin + some);
        }
        Prefix = KeyBytes.Prefix(Key);
    }

    private ulong ReadNumber()
    {
        var value = 0UL;
        for (var shift = 0; shift < 70; shift += 7)
        {
            if (_begin == _end) Fill();
            var part = _buffer[_begin++];
            value |= (ulong)(part & 0x7F) << shift;
            if (part < 0x80) return value;
        }
        throw new InvalidDataException("A run is damaged: it has a number without an end.");
    }

    private void Fill()
    {
        var some = (int)Math.Min(BufferBytes, to - _position);
        var read = some == 0 ? 0 : RandomAccess.Read(file, _buffer.AsSpan(0, some), _position);
        if (read == 0) throw new InvalidDataException("A run is damaged: it ends within a record.");
        (_position, _begin, _end) = (_position + read, 0, read);
    }
}
