using DistributedPatterns.Pipeline;
using Microsoft.Win32.SafeHandles;

namespace DistributedPatterns.Supervision.Tailing;

/// <summary>A log that only grows: a text file over and over. Byte <c>p</c> of the log is byte <c>p mod length</c> of the file.</summary>
/// <remarks>How far it has grown is not here: the child <c>feed</c> keeps that. So whoever reads up to there reads the same bytes, in whatever process and however often.</remarks>
internal sealed class TailLog : IDisposable
{
    private readonly SafeFileHandle _file;
    private readonly long _length;

    /// <exception cref="PipelineInputException">There is no such input.</exception>
    /// <exception cref="InvalidDataException">The input is empty.</exception>
    public TailLog(PipelineInputs inputs, string input)
    {
        _file = File.OpenHandle(inputs.PathOf(input), options: FileOptions.Asynchronous);
        _length = RandomAccess.GetLength(_file);
        if (_length > 0) return;
        _file.Dispose();
        throw new InvalidDataException($"Input '{input}' is empty: a log of it can never grow.");
    }

    /// <summary>Reads what there is from a place on, up to another one.</summary>
    /// <returns>How many bytes were read, at least one.</returns>
    public ValueTask<int> ReadAsync(Memory<byte> buffer, long from, long to, CancellationToken cancellationToken)
    {
        var start = from % _length;
        var count = (int)Math.Min(buffer.Length, Math.Min(to - from, _length - start));
        return RandomAccess.ReadAsync(_file, buffer[..count], start, cancellationToken);
    }

    public void Dispose() => _file.Dispose();
}
