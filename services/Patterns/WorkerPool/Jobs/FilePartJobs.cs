using System.Buffers;
using System.Security.Cryptography;
using DistributedPatterns.Pipeline;

namespace DistributedPatterns.WorkerPool;

/// <summary>Jobs on parts of the input files that all processes share: <c>sha256</c> and <c>text-count</c>. Both can be repeated.</summary>
public static class FilePartJobs
{
    public const string Sha256Name = "sha256";
    public const string TextCountName = "text-count";

    private const int BlockBytes = 64 * 1024;

    /// <summary>Hashes a part.</summary>
    public static JobDefinition<FilePart, FileDigest> Sha256(PipelineInputs inputs) => new(
        Sha256Name,
        async (part, _, cancellationToken) =>
        {
            using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
            var bytes = await ReadAsync(inputs, part, block => hash.AppendData(block), cancellationToken).ConfigureAwait(false);
            return new FileDigest(part.Input, part.Offset, bytes, Convert.ToHexStringLower(hash.GetHashAndReset()));
        },
        WorkerPoolJobsJson.Default.FilePart, WorkerPoolJobsJson.Default.FileDigest);

    /// <summary>Counts the lines and words of a part.</summary>
    public static JobDefinition<FilePart, TextCount> TextCount(PipelineInputs inputs) => new(
        TextCountName,
        async (part, _, cancellationToken) =>
        {
            var (lines, words) = (0L, 0L);
            var isInWord = part.Offset > 0 && await IsInWordBeforeAsync(inputs, part, cancellationToken).ConfigureAwait(false);
            var bytes = await ReadAsync(inputs, part, block =>
            {
                foreach (var value in block)
                {
                    if (value == '\n') lines++;
                    var isSpace = IsSpace(value);
                    if (!isSpace && !isInWord) words++;
                    isInWord = !isSpace;
                }
            }, cancellationToken).ConfigureAwait(false);
            return new TextCount(part.Input, part.Offset, bytes, lines, words);
        },
        WorkerPoolJobsJson.Default.FilePart, WorkerPoolJobsJson.Default.TextCount);

    private static async Task<bool> IsInWordBeforeAsync(PipelineInputs inputs, FilePart part, CancellationToken cancellationToken)
    {
        var isInWord = false;
        await ReadAsync(inputs, new(part.Input, part.Offset - 1, 1), block => isInWord = !IsSpace(block[0]), cancellationToken).ConfigureAwait(false);
        return isInWord;
    }

    private static bool IsSpace(byte value) => value is (byte)' ' or (>= (byte)'\t' and <= (byte)'\r');

    private static async Task<long> ReadAsync(PipelineInputs inputs, FilePart part, ReadBlock take, CancellationToken cancellationToken)
    {
        using var file = Open(inputs, part.Input);
        var total = RandomAccess.GetLength(file);
        var length = part.Length ?? total - part.Offset;
        if (part.Offset < 0 || length < 0 || part.Offset > total - length)
            throw new JobRefusedException($"Input '{part.Input}' has {total:N0} bytes; a part of {length:N0} from {part.Offset:N0} does not lie in it.");

        var buffer = ArrayPool<byte>.Shared.Rent(BlockBytes);
        try
        {
            for (var left = length; left > 0;)
            {
                var block = buffer.AsMemory(0, (int)Math.Min(left, BlockBytes));
                var read = await RandomAccess.ReadAsync(file, block, part.Offset + length - left, cancellationToken).ConfigureAwait(false);
                if (read == 0) throw new IOException($"Input '{part.Input}' became shorter while it was read.");
                take(block.Span[..read]);
                left -= read;
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
        return length;
    }

    private static Microsoft.Win32.SafeHandles.SafeFileHandle Open(PipelineInputs inputs, string input)
    {
        try
        {
            return File.OpenHandle(inputs.PathOf(input), options: FileOptions.Asynchronous);
        }
        catch (PipelineInputException missing)
        {
            // Another attempt would not find it either.
            throw new JobRefusedException(missing.Message, missing);
        }
    }

    private delegate void ReadBlock(ReadOnlySpan<byte> block);
}
