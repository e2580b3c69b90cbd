using System.Text.Json.Serialization;
using DistributedPatterns.FanOutFanIn;
using DistributedPatterns.Payloads;

namespace DistributedPatterns.Tests.FanOutFanIn;

public sealed record Shout(string Text, int Length);

/// <summary>Two branches that have nothing in common: numbers squared, and text made loud.</summary>
internal static class TestBranches
{
    /// <summary>An <c>int</c> to its square, after what a test has in mind for it.</summary>
    public static BranchDefinition<int, long> Square(Func<int, CancellationToken, ValueTask>? before = null) =>
        new("square", PayloadCodec.Packed<int>(), PayloadCodec.Packed<long>(), async (item, token) =>
        {
            if (before is not null) await before(item, token);
            return (long)item * item;
        });

    /// <summary>The same without any waiting, as small work is.</summary>
    public static BranchDefinition<int, long> QuickSquare() =>
        new("square", PayloadCodec.Packed<int>(), PayloadCodec.Packed<long>(), static (item, _) => new((long)item * item));

    /// <summary>Text to a record.</summary>
    public static BranchDefinition<string, Shout> Shout() =>
        new("shout", PayloadCodec.Utf8, PayloadCodec.Json(FanOutTestJson.Default.Shout), static (text, _) => text == ""
            ? throw new ArgumentException("There is nothing to shout.")
            : new(new Shout(text.ToUpperInvariant() + "!", text.Length)));
}

[JsonSerializable(typeof(Shout))]
internal sealed partial class FanOutTestJson : JsonSerializerContext;

/// <summary>Counts how many are inside at the same time.</summary>
internal sealed class Crowd
{
    private int _now;
    private int _most;

    public int Now => Volatile.Read(ref _now);

    public int Most => Volatile.Read(ref _most);

    public void Enter()
    {
        var now = Interlocked.Increment(ref _now);
        for (var most = Most; now > most; most = Most) Interlocked.CompareExchange(ref _most, now, most);
    }

    public void Leave() => Interlocked.Decrement(ref _now);
}
