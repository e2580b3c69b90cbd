using System.Globalization;
using DistributedPatterns.Pipeline;
using Microsoft.Extensions.Options;

namespace DistributedPatterns.Supervision.Tailing;

/// <summary>The children of the scenario: <c>feed</c> lets a log grow; <c>lines</c>, <c>words</c> and <c>checksum</c> tail it and keep what they have counted.</summary>
/// <remarks>
/// A tail writes how far it has read and what it has counted in one value, and begins with that when it is started again. So it counts every byte once
/// whatever happens to it, and its count never goes back: the one way to break that is a write of a start that was replaced, which is refused.
/// </remarks>
public sealed class TailChildren(PipelineInputs inputs, IOptions<TailOptions> options, TimeProvider time)
{
    public const string Feed = "feed";
    public const string Lines = "lines";
    public const string Words = "words";
    public const string Checksum = "checksum";

    private const int BlockBytes = 64 * 1024;

    /// <summary>Counts on by some more bytes of the log.</summary>
    public delegate TailCount Count(TailCount before, ReadOnlySpan<byte> bytes);

    public async Task FeedAsync(ChildContext context, CancellationToken cancellationToken)
    {
        var end = EndOf(await context.ReadAsync(cancellationToken).ConfigureAwait(false));
        while (await GoesOnAsync(context, cancellationToken).ConfigureAwait(false))
        {
            end += options.Value.GrowBytes;
            await context.WriteAsync(end.ToString(CultureInfo.InvariantCulture), cancellationToken).ConfigureAwait(false);
            await Task.Delay(options.Value.GrowEvery, time, cancellationToken).ConfigureAwait(false);
        }
    }

    public ChildBody Tail(Count count) => async (context, cancellationToken) =>
    {
        using var log = new TailLog(inputs, options.Value.Input);
        var buffer = new byte[BlockBytes];
        var counted = TailCount.Parse(await context.ReadAsync(cancellationToken).ConfigureAwait(false));
        while (await GoesOnAsync(context, cancellationToken).ConfigureAwait(false))
        {
            var end = EndOf(await context.ReadAsync(Feed, cancellationToken).ConfigureAwait(false));
            if (counted.Offset >= end)
            {
                await Task.Delay(options.Value.GrowEvery, time, cancellationToken).ConfigureAwait(false);
                continue;
            }
            var read = await log.ReadAsync(buffer, counted.Offset, end, cancellationToken).ConfigureAwait(false);
            counted = count(counted, buffer.AsSpan(0, read));
            await context.WriteAsync(counted.ToString(), cancellationToken).ConfigureAwait(false);
        }
    };

    /// <summary>Gives a sign of life, and does as it is told.</summary>
    private static async Task<bool> GoesOnAsync(ChildContext context, CancellationToken cancellationToken)
    {
        switch (context.TakeSignal())
        {
            case ChildSignal.Crash: throw new InvalidOperationException($"{context.Name} was told to crash");
            case ChildSignal.Exit: return false;
            case ChildSignal.Hang:
                await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, cancellationToken).ConfigureAwait(false);
                break;
        }
        context.Beat();
        return true;
    }

    private static long EndOf(string? kept) => kept is null ? 0 : long.Parse(kept, CultureInfo.InvariantCulture);
}
