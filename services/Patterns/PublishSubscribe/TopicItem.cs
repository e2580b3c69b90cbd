using System.Diagnostics.CodeAnalysis;
using System.Globalization;

namespace DistributedPatterns.PublishSubscribe;

/// <summary>What a subscriber reads: a message, or the mark of what it missed.</summary>
/// <param name="Position">Where it stands. A mark stands at the last message that is missing.</param>
/// <param name="Subject">What the message is about; empty for a mark.</param>
/// <param name="Message">What was published; nothing for a mark.</param>
/// <param name="Kind">Which of them it is.</param>
/// <param name="Missed">How many messages a mark stands for.</param>
public readonly record struct TopicItem<T>(TopicPosition Position, string Subject, T Message, TopicItemKind Kind = TopicItemKind.Message, long Missed = 0)
{
    /// <summary>Gets the number of the message.</summary>
    public long Sequence => Position.Sequence;

    public bool IsMessage => Kind == TopicItemKind.Message;

    internal static TopicItem<T> Mark(TopicItemKind kind, TopicPosition position, long missed = 0) => new(position, "", default!, kind, missed);
}

/// <summary>What an item is.</summary>
public enum TopicItemKind
{
    /// <summary>A message.</summary>
    Message,

    /// <summary>Messages that the subscriber's own policy gave up because it read too slowly.</summary>
    Dropped,

    /// <summary>Messages that no longer were there to read: trimmed from the log, or published while there was no connection.</summary>
    Gap,

    /// <summary>The topic itself has lost what it knew, so how many messages are missing nobody can say. Counting begins anew.</summary>
    Reset,
}

/// <summary>A place in a topic, to go on from.</summary>
/// <param name="Generation">Which life of the topic: another one when its process or its Redis began anew.</param>
/// <param name="Sequence">The number of a message: 1, 2, 3 and so on within a generation.</param>
/// <param name="Place">Where it lies in the log. It only rises, also when a log that lost its end gives a number out again.</param>
public readonly record struct TopicPosition(long Generation, long Sequence, long Place = 0) : ISpanParsable<TopicPosition>
{
    /// <summary>Writes it as one word, for an event's id.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Generation}-{Sequence}-{Place}");

    /// <inheritdoc/>
    public string ToString(string? format, IFormatProvider? formatProvider) => ToString();

    /// <inheritdoc/>
    public static TopicPosition Parse(string s, IFormatProvider? provider) => Parse(s.AsSpan(), provider);

    /// <inheritdoc/>
    public static TopicPosition Parse(ReadOnlySpan<char> s, IFormatProvider? provider) =>
        TryParse(s, provider, out var position) ? position : throw new FormatException($"'{s}' is no position: three numbers such as 17-5-0.");

    /// <inheritdoc/>
    public static bool TryParse([NotNullWhen(true)] string? s, IFormatProvider? provider, out TopicPosition result) => TryParse(s.AsSpan(), provider, out result);

    /// <inheritdoc/>
    public static bool TryParse(ReadOnlySpan<char> s, IFormatProvider? provider, out TopicPosition result)
    {
        Span<Range> parts = stackalloc Range[4];
        result = default;
        if (s.Split(parts, '-') != 3 || !Number(s[parts[0]], out var generation) || !Number(s[parts[1]], out var sequence) || !Number(s[parts[2]], out var place)) return false;
        result = new TopicPosition(generation, sequence, place);
        return true;

        // Lua's numbers are exact below 2^53.
        static bool Number(ReadOnlySpan<char> text, out long number) =>
            long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out number) && number < 1L << 53;
    }
}
