using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Security.Cryptography;

namespace DistributedPatterns.Scenarios;

/// <summary>Work of a chosen kind and size, for load tests: what the pattern costs is what is left when this is subtracted.</summary>
/// <remarks>
/// Written <c>none</c>, <c>cpu:200us</c> or <c>io:5ms</c>. <c>cpu</c> keeps a core busy with hashing for that long, <c>io</c>
/// waits without a thread, as for a disk or another service. Real jobs ship beside it; this one exists to be measured against.
/// </remarks>
public readonly record struct SimulatedWork(WorkKind Kind, TimeSpan Duration)
{
    /// <summary>The longest work accepted.</summary>
    public static readonly TimeSpan MaxDuration = TimeSpan.FromSeconds(60);

    /// <summary>What <see cref="TryParse"/> accepts, for messages.</summary>
    public const string Accepted = "none, cpu:<time> or io:<time>, the time from 1us to 60s, such as cpu:200us or io:5ms";

    private static readonly (string Suffix, TimeSpan Unit)[] s_units =
        [("us", TimeSpan.FromMicroseconds(1)), ("ms", TimeSpan.FromMilliseconds(1)), ("s", TimeSpan.FromSeconds(1))];

    /// <summary>Reads work as it is written.</summary>
    public static bool TryParse([NotNullWhen(true)] string? text, out SimulatedWork work)
    {
        work = default;
        if (text == "none") return true;
        if (text?.Split(':') is not [var kind, var time] || !TryParseKind(kind, out var known)) return false;
        foreach (var (suffix, unit) in s_units)
        {
            if (time.EndsWith(suffix, StringComparison.Ordinal)
                && int.TryParse(time.AsSpan(..^suffix.Length), NumberStyles.None, CultureInfo.InvariantCulture, out var count)
                && count >= 1 && count <= MaxDuration / unit)
            {
                work = new SimulatedWork(known, count * unit);
                return true;
            }
        }
        return false;
    }

    /// <summary>Does the work.</summary>
    public async ValueTask RunAsync(TimeProvider time, CancellationToken cancellationToken)
    {
        if (Kind == WorkKind.Io) await Task.Delay(Duration, time, cancellationToken).ConfigureAwait(false);
        else if (Kind == WorkKind.Cpu) Hash(time, cancellationToken);
    }

    /// <summary>Returns the work as <see cref="TryParse"/> reads it.</summary>
    public override string ToString() =>
        Kind == WorkKind.None ? "none" : string.Create(CultureInfo.InvariantCulture, $"{(Kind == WorkKind.Cpu ? "cpu" : "io")}:{Duration.TotalMicroseconds:0}us");

    private void Hash(TimeProvider time, CancellationToken cancellationToken)
    {
        Span<byte> block = stackalloc byte[SHA256.HashSizeInBytes];
        for (var since = time.GetTimestamp(); time.GetElapsedTime(since) < Duration; cancellationToken.ThrowIfCancellationRequested())
            SHA256.HashData(block, block);
    }

    private static bool TryParseKind(string text, out WorkKind kind)
    {
        kind = text == "cpu" ? WorkKind.Cpu : WorkKind.Io;
        return text is "cpu" or "io";
    }
}

/// <summary>What work keeps busy.</summary>
public enum WorkKind
{
    None,

    /// <summary>A core.</summary>
    Cpu,

    /// <summary>Nothing here: it waits for something elsewhere.</summary>
    Io,
}
