using Microsoft.Extensions.Logging;

namespace Aspire.Hosting.Dashboard.Telemetry;

/// <summary>Which logs to show. What is <see langword="null"/> lets all pass.</summary>
/// <param name="Level">The lowest level.</param>
internal sealed record LogFilter(string? Resource, string? TraceId, LogLevel? Level, string? Text)
{
    public static LogFilter From(ApiQuery query) => new(
        query["resource"], query.TraceId,
        query.Read("severity", text => Enum.TryParse<LogLevel>(text, ignoreCase: true, out var level) && Enum.IsDefined(level) ? level : (LogLevel?)null,
            string.Join(", ", Enum.GetNames<LogLevel>())),
        query["search"]);

    /// <summary>Returns what passes, newest first.</summary>
    public IEnumerable<LogEntry> Apply(LogEntry[] logs) => logs.AsEnumerable().Reverse().Where(log =>
        (Level is null || log.Level >= Level) && (string.IsNullOrEmpty(TraceId) || log.TraceId == TraceId) && log.Resource.Is(Resource)
        && (string.IsNullOrEmpty(Text) || Contains(log.Message) || Contains(log.Category) || log.Attributes.Any(a => Contains(a.Value))));

    private bool Contains(string text) => text.Contains(Text!, StringComparison.OrdinalIgnoreCase);
}

/// <summary>Which spans, or traces with such spans, to show. What is <see langword="null"/> lets all pass.</summary>
internal sealed record SpanFilter(string? Resource, string? TraceId, bool? IsError, string? Text)
{
    public static SpanFilter From(ApiQuery query) => new(
        query["resource"], query.TraceId,
        query.Read("hasError", text => bool.TryParse(text, out var error) ? error : (bool?)null, "true, false"), query["search"]);

    /// <summary>Returns what passes, newest first.</summary>
    public IEnumerable<SpanEntry> Apply(SpanEntry[] spans) => spans.AsEnumerable().Reverse().Where(Passes);

    /// <summary>Returns the traces, newest first, that have a span of the resource with the text; and errors, if that is asked for.</summary>
    public IEnumerable<Trace> Traces(SpanEntry[] spans) => Trace.Group(spans).Where(trace =>
        (IsError is null || trace.Errors > 0 == IsError) && trace.Spans.Any((this with { IsError = null }).Passes));

    private bool Passes(SpanEntry span) =>
        (IsError is null || span.IsError == IsError) && (string.IsNullOrEmpty(TraceId) || span.TraceId == TraceId) && span.Resource.Is(Resource)
        && (string.IsNullOrEmpty(Text) || span.TraceId == Text || Contains(span.Name) || span.Attributes.Any(a => Contains(a.Value)));

    private bool Contains(string text) => text.Contains(Text!, StringComparison.OrdinalIgnoreCase);
}
