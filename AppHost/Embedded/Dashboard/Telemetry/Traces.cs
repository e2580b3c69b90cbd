namespace Aspire.Hosting.Dashboard.Telemetry;

/// <summary>The spans of one trace that are kept, by their start. What was dropped, or has not come yet, is missing.</summary>
internal sealed class Trace
{
    private Trace(string id, SpanEntry[] spans)
    {
        (Id, Spans) = (id, spans);
        Root = spans.FirstOrDefault(span => span.ParentId is null)
            ?? spans.ExceptBy(spans.Select(span => span.SpanId), span => span.ParentId!).FirstOrDefault() ?? spans[0];
    }

    public string Id { get; }

    public IReadOnlyList<SpanEntry> Spans { get; }

    /// <summary>Gets the span without a parent, or the first whose parent is not there.</summary>
    public SpanEntry Root { get; }

    public TimeSpan Duration => Spans.Max(span => span.End) - Spans[0].Start;

    public int Errors => Spans.Count(span => span.IsError);

    /// <summary>Gets the processes and how many of the spans each has, in order of appearance.</summary>
    public IEnumerable<(TelemetryResource Resource, int Spans)> Resources => Spans.GroupBy(span => span.Resource).Select(group => (group.Key, group.Count()));

    /// <summary>Groups spans into traces, the newest first.</summary>
    public static IEnumerable<Trace> Group(IEnumerable<SpanEntry> spans) => spans
        .GroupBy(span => span.TraceId).Select(group => new Trace(group.Key, [.. group.OrderBy(span => span.Start)]))
        .OrderByDescending(trace => trace.Spans[0].Start);
}

/// <summary>A span in a waterfall.</summary>
/// <param name="Depth">How many spans it is beneath.</param>
/// <param name="IsLinked">Whether it belongs to another trace, which links to this one.</param>
internal readonly record struct WaterfallRow(SpanEntry Span, int Depth, bool IsLinked);

/// <summary>One trace as a tree, with the traces that link to it where they link.</summary>
/// <remarks>
/// What goes through a queue ends one trace and begins another: the span of the work links to the span that created it. It is
/// shown beneath that span, with all that it led to in turn, so that one reads on.
/// </remarks>
internal static class Waterfall
{
    public static IReadOnlyList<WaterfallRow> Of(string traceId, IReadOnlyCollection<SpanEntry> all, int maxRows)
    {
        var traces = new HashSet<string> { traceId };
        var linking = all.Where(span => span.Links.Count > 0).ToList();
        while (linking.RemoveAll(span => span.Links.Any(link => traces.Contains(link.TraceId)) && (traces.Add(span.TraceId) || true)) > 0)
        {
        }

        var spans = all.Where(span => traces.Contains(span.TraceId)).OrderBy(span => span.Start).ToList();
        var known = spans.Select(span => (span.TraceId, (string?)span.SpanId)).ToHashSet();
        var children = spans.Select(span => (Above: (span.TraceId, span.ParentId), Span: span))
            .Concat(spans.SelectMany(span => span.Links.Where(link => link.TraceId != span.TraceId).Select(link => (Above: (link.TraceId, (string?)link.SpanId), Span: span))))
            .ToLookup(below => below.Above, below => below.Span);

        var (rows, seen) = (new List<WaterfallRow>(), new HashSet<SpanEntry>(ReferenceEqualityComparer.Instance));
        var open = new Stack<(SpanEntry Span, int Depth)>();
        foreach (var root in spans.Where(span => span.TraceId == traceId && !known.Contains((traceId, span.ParentId))))
        {
            open.Push((root, 0));
            while (rows.Count < maxRows && open.TryPop(out var next))
            {
                if (!seen.Add(next.Span)) continue;
                rows.Add(new(next.Span, next.Depth, next.Span.TraceId != traceId));
                foreach (var child in children[(next.Span.TraceId, next.Span.SpanId)].Reverse()) open.Push((child, next.Depth + 1));
            }
        }

        return rows;
    }
}
