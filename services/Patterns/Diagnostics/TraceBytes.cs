using System.Diagnostics;

namespace DistributedPatterns.Diagnostics;

/// <summary>A span's context as it travels in an envelope: what <c>traceparent</c> says, in one byte if there is none, else in 26.</summary>
internal static class TraceBytes
{
    /// <summary>How many bytes it takes at most.</summary>
    public const int MaxLength = 1 + TraceIdLength + SpanIdLength + 1;

    private const int TraceIdLength = 16;
    private const int SpanIdLength = 8;

    /// <returns>How many bytes were written.</returns>
    public static int Write(ActivityContext context, Span<byte> bytes)
    {
        bytes[0] = context.TraceId == default ? (byte)0 : (byte)1;
        if (bytes[0] == 0) return 1;
        context.TraceId.CopyTo(bytes.Slice(1, TraceIdLength));
        context.SpanId.CopyTo(bytes.Slice(1 + TraceIdLength, SpanIdLength));
        bytes[MaxLength - 1] = (byte)context.TraceFlags;
        return MaxLength;
    }

    /// <summary>Takes a context off the front.</summary>
    /// <exception cref="FormatException">There is none.</exception>
    public static ActivityContext Take(ref ReadOnlySpan<byte> bytes)
    {
        if (bytes.IsEmpty || bytes[0] > 1 || (bytes[0] == 1 && bytes.Length < MaxLength)) throw new FormatException("The envelope has no whole trace context.");
        var context = bytes[0] == 0
            ? default
            : new ActivityContext(
                ActivityTraceId.CreateFromBytes(bytes.Slice(1, TraceIdLength)), ActivitySpanId.CreateFromBytes(bytes.Slice(1 + TraceIdLength, SpanIdLength)),
                (ActivityTraceFlags)bytes[MaxLength - 1], isRemote: true);
        bytes = bytes[(bytes[0] == 0 ? 1 : MaxLength)..];
        return context;
    }
}
