namespace DistributedPatterns.PublishSubscribe;

/// <summary>Which subjects a subscriber listens to: <c>orders.*.created</c>, <c>orders.**</c>.</summary>
/// <remarks>
/// A subject is 1 to 16 segments joined by dots, 128 characters at most; a segment is letters, digits, <c>-</c> and <c>_</c>. In a pattern <c>*</c> stands for exactly
/// one segment, and <c>**</c>, as the last one, for any number of them, none included.
/// </remarks>
public sealed class SubjectPattern
{
    /// <summary>The subject of messages that are published without one.</summary>
    public const string Default = "default";

    /// <summary>The pattern that every subject matches.</summary>
    public const string Everything = "**";

    private const int MaxLength = 128;
    private const int MaxSegments = 16;
    private const string Any = "*";

    private readonly string[] _segments;
    private readonly bool _isOpen;

    /// <exception cref="ArgumentException">It is no pattern.</exception>
    public SubjectPattern(string pattern)
    {
        ArgumentNullException.ThrowIfNull(pattern);
        _segments = pattern.Split('.');
        _isOpen = _segments[^1] == Everything;
        if (_isOpen) _segments = _segments[..^1];
        if (pattern.Length > MaxLength || _segments.Length > MaxSegments || !_segments.All(segment => segment == Any || IsSegment(segment)))
            throw new ArgumentException($"A pattern is up to {MaxSegments} segments of letters, digits, '-' and '_', or '*', joined by dots; '**' may be the last.", nameof(pattern));
    }

    /// <summary>Gets whether every subject matches.</summary>
    public bool IsEverything => _isOpen && _segments.Length == 0;

    /// <exception cref="ArgumentException">It is no subject.</exception>
    public static void CheckSubject(string subject)
    {
        ArgumentNullException.ThrowIfNull(subject);
        var segments = subject.Split('.');
        if (subject.Length > MaxLength || segments.Length > MaxSegments || !segments.All(IsSegment))
            throw new ArgumentException($"A subject is 1 to {MaxSegments} segments of letters, digits, '-' and '_', joined by dots, {MaxLength} characters at most.", nameof(subject));
    }

    public bool Matches(ReadOnlySpan<char> subject)
    {
        var next = 0;
        foreach (var range in subject.Split('.'))
        {
            if (next == _segments.Length) return _isOpen;
            var wanted = _segments[next++];
            if (wanted != Any && !subject[range].SequenceEqual(wanted)) return false;
        }
        return next == _segments.Length;
    }

    private static bool IsSegment(string segment) => segment.Length > 0 && segment.All(static c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_');
}
