using System.Buffers.Text;
using System.Security.Cryptography;

namespace DistributedPatterns.MapReduce.Engine;

/// <summary>Writes the result as text, and its hash on the way.</summary>
/// <remarks>In keys tab, line feed and backslash are written as <c>\t</c>, <c>\n</c> and <c>\\</c>, so that the first tab of a line ends its key.</remarks>
internal sealed class ResultWriter : PairSink, IDisposable
{
    private const int BufferBytes = 64 * 1024;

    private readonly FileStream _file;
    private readonly ValueFold _fold;
    private readonly IncrementalHash _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
    private readonly byte[] _buffer = new byte[BufferBytes];
    private byte[] _key = [];
    private int _keyLength = -1;
    private int _used;

    public ResultWriter(string path, ValueFold fold)
    {
        _file = new FileStream(path, new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write, BufferSize = 0 });
        _fold = fold;
    }

    public long Keys { get; private set; }

    public long Bytes { get; private set; }

    public override void Add(ReadOnlySpan<byte> key, long value)
    {
        if (_fold == ValueFold.Set && _keyLength == key.Length && _key.AsSpan(0, _keyLength).SequenceEqual(key))
        {
            Write((byte)',');
        }
        else
        {
            if (Keys++ > 0) Write((byte)'\n');
            WriteKey(key);
            Write((byte)'\t');
        }
        if (BufferBytes - _used < 20) Flush();
        Utf8Formatter.TryFormat(value, _buffer.AsSpan(_used), out var digits);
        _used += digits;
    }

    /// <summary>Writes what is left and returns the hash in lower-case hexadecimal digits.</summary>
    public string Finish()
    {
        if (Keys > 0) Write((byte)'\n');
        Flush();
        return Convert.ToHexStringLower(_hash.GetHashAndReset());
    }

    public void Dispose()
    {
        _hash.Dispose();
        _file.Dispose();
    }

    private void WriteKey(ReadOnlySpan<byte> key)
    {
        if (_fold == ValueFold.Set)
        {
            if (_key.Length < key.Length) _key = new byte[key.Length * 2];
            key.CopyTo(_key);
            _keyLength = key.Length;
        }
        foreach (var value in key)
        {
            if (value is not ((byte)'\t' or (byte)'\n' or (byte)'\\'))
            {
                Write(value);
                continue;
            }
            Write((byte)'\\');
            Write(value switch { (byte)'\t' => (byte)'t', (byte)'\n' => (byte)'n', _ => (byte)'\\' });
        }
    }

    private void Write(byte value)
    {
        if (_used == BufferBytes) Flush();
        _buffer[_used++] = value;
    }

    private void Flush()
    {
        _file.Write(_buffer, 0, _used);
        _hash.AppendData(_buffer, 0, _used);
        Bytes += _used;
        _used = 0;
    }
}
