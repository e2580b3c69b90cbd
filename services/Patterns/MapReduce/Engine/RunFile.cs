using System.Buffers.Binary;
using Microsoft.Win32.SafeHandles;

namespace DistributedPatterns.MapReduce.Engine;

/// <summary>A run that is open for reading: where each partition lies.</summary>
internal sealed class RunFile : IDisposable
{
    private readonly SafeFileHandle _file;
    private readonly long[] _offsets;

    private RunFile(SafeFileHandle file, long[] offsets) => (_file, _offsets) = (file, offsets);

    /// <exception cref="InvalidDataException">The file is no run, or was cut off.</exception>
    /// <exception cref="IOException">The file is not there or cannot be read.</exception>
    public static RunFile Open(string path)
    {
        var file = File.OpenHandle(path);
        try
        {
            return new RunFile(file, ReadOffsets(file, path));
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Reads a partition's pairs. Each cursor has its own buffer; all end with this.</summary>
    public RunCursor Read(int partition) => new(_file, _offsets[partition], _offsets[partition + 1]);

    public void Dispose() => _file.Dispose();

    private static long[] ReadOffsets(SafeFileHandle file, string path)
    {
        var length = RandomAccess.GetLength(file);
        Span<byte> number = stackalloc byte[8];
        if (length < 16 || RandomAccess.Read(file, number, length - 8) != 8) throw NoRun(path);
        var last = BinaryPrimitives.ReadUInt64LittleEndian(number);
        var count = (int)(uint)last;
        if (last >> 32 != RunWriter.Mark || count is < 1 or > MapReduceRequest.MaxReducers || length < 16 + (8L * count)) throw NoRun(path);
        var bytes = new byte[8 * (count + 1)];
        if (RandomAccess.Read(file, bytes, length - 8 - bytes.Length) != bytes.Length) throw NoRun(path);
        var offsets = new long[count + 1];
        for (var i = 0; i <= count; i++) offsets[i] = BinaryPrimitives.ReadInt64LittleEndian(bytes.AsSpan(i * 8));
        return offsets[^1] == length - 8 - bytes.Length ? offsets : throw NoRun(path);
    }

    private static InvalidDataException NoRun(string path) => new($"'{Path.GetFileName(path)}' is no run, or was cut off.");
}
