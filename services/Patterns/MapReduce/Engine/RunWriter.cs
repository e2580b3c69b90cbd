using System.Buffers.Binary;

namespace DistributedPatterns.MapReduce.Engine;

/// <summary>Writes a run: sorted pairs in a file, one partition after the other.</summary>
/// <remarks>
/// A record is the key's length, the key, the number of values, the first value and the differences to the next ones, in variable-length
/// integers. At the end stand the partitions' offsets, their number and a mark, so a file that was cut off is known as such.
/// <para>Written synchronously, as the sort and the merge that feed it are: nothing here waits for anything but the disk.</para>
/// </remarks>
internal sealed class RunWriter : PairSink, IDisposable
{
    public const uint Mark = 0x5275_4E31;

    private const int MostValues = 4_096; // a record: what a reader may have to take at once
    private const int BufferBytes = 64 * 1024;

    private readonly FileStream _file;
    private readonly ValueFold _fold;
    private readonly byte[] _buffer = new byte[BufferBytes];
    private readonly List<long> _offsets = [];
    private readonly long[] _set;
    private byte[] _key = [];
    private int _keyLength = -1;
    private int _setCount;
    private int _used;
    private long _written;

    public RunWriter(string path, ValueFold fold)
    {
        _file = new FileStream(path, new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write, BufferSize = 0 });
        _fold = fold;
        _set = fold == ValueFold.Set ? new long[MostValues] : [];
    }

    /// <summary>Gets how many pairs were added.</summary>
    public long Pairs { get; private set; }

    /// <summary>Begins the next partition; the first one too.</summary>
    public void BeginPartition()
    {
        EndSet();
        _offsets.Add(_written + _used);
    }

    public override void Add(ReadOnlySpan<byte> key, long value)
    {
        Pairs++;
        if (_fold != ValueFold.Set)
        {
            Begin(key, 1);
            WriteNumber(ZigZag(value));
            return;
        }
        if (_setCount == MostValues || _keyLength != key.Length || !_key.AsSpan(0, _keyLength).SequenceEqual(key))
        {
            EndSet();
            if (_key.Length < key.Length) _key = new byte[key.Length * 2];
            key.CopyTo(_key);
            _keyLength = key.Length;
        }
        _set[_setCount++] = value;
    }

    /// <summary>Writes the end and returns the file's length.</summary>
    public long Finish()
    {
        EndSet();
        var end = _written + _used;
        foreach (var offset in _offsets) WriteFixed(offset);
        WriteFixed(end);
        WriteFixed(((long)Mark << 32) | (uint)_offsets.Count);
        Flush();
        return _written;
    }

    public void Dispose() => _file.Dispose();

    private static ulong ZigZag(long value) => (ulong)((value << 1) ^ (value >> 63));

    private void EndSet()
    {
        if (_setCount > 0)
        {
            Begin(_key.AsSpan(0, _keyLength), _setCount);
            WriteNumber(ZigZag(_set[0]));
            for (var i = 1; i < _setCount; i++) WriteNumber((ulong)(_set[i] - _set[i - 1]));
        }
        (_setCount, _keyLength) = (0, -1);
    }

    private void Begin(ReadOnlySpan<byte> key, int values)
    {
        WriteNumber((ulong)key.Length);
        while (key.Length > 0)
        {
            if (_used == BufferBytes) Flush();
            var some = Math.Min(key.Length, BufferBytes - _used);
            key[..some].CopyTo(_buffer.AsSpan(_used));
            _used += some;
            key = key[some..];
        }
        WriteNumber((ulong)values);
    }

    private void WriteNumber(ulong value)
    {
        if (BufferBytes - _used < 10) Flush();
        for (; value >= 0x80; value >>= 7) _buffer[_used++] = (byte)(value | 0x80);
        _buffer[_used++] = (byte)value;
    }

    private void WriteFixed(long value)
    {
        if (BufferBytes - _used < 8) Flush();
        BinaryPrimitives.WriteInt64LittleEndian(_buffer.AsSpan(_used), value);
        _used += 8;
    }

    private void Flush()
    {
        _file.Write(_buffer, 0, _used);
        _written += _used;
        _used = 0;
    }
}
