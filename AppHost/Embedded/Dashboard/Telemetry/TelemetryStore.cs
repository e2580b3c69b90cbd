using System.Globalization;
using System.Text;
using Aspire.Hosting.Dashboard.Telemetry.Protocol;
using Google.Protobuf;
using Google.Protobuf.Collections;
using Microsoft.Extensions.Logging;

namespace Aspire.Hosting.Dashboard.Telemetry;

/// <summary>The telemetry of all processes, in bounded memory, for as long as the host runs. Thread-safe.</summary>
/// <remarks>Each <c>Add</c> returns how many entries it refused; what is refused changes nothing.</remarks>
internal sealed class TelemetryStore(TimeProvider time, TelemetryLimits limits)
{
    private readonly Lock _gate = new();
    private readonly Dictionary<string, TelemetryResource> _resources = new(StringComparer.OrdinalIgnoreCase);
    private long _lastLog;
    private long _version;
    private long _refused;

    public Ring<LogEntry> Logs { get; } = new(limits.Logs, limits.Bytes, entry => entry.Size);

    public Ring<SpanEntry> Spans { get; } = new(limits.Spans, limits.Bytes, entry => entry.Size);

    public MetricStore Metrics { get; } = new(time, limits);

    /// <summary>Gets a number that rises whenever something was added.</summary>
    public long Version => Interlocked.Read(ref _version);

    /// <summary>Gets how many entries were refused: without valid ids, of a kind that is not known, or beyond what is kept.</summary>
    public long Refused => Interlocked.Read(ref _refused);

    public IReadOnlyList<TelemetryResource> Resources()
    {
        lock (_gate)
        {
            return [.. _resources.Values.OrderBy(r => r.Id, StringComparer.OrdinalIgnoreCase)];
        }
    }

    public long Add(ExportLogsServiceRequest request) => Add(request.ResourceLogs, logs => logs.Resource, (logs, resource) =>
    {
        var entries = logs.ScopeLogs.SelectMany(scope => scope.LogRecords.Select(record => new LogEntry(
            Interlocked.Increment(ref _lastLog), record.TimeUnixNano == 0 ? Time(record.ObservedTimeUnixNano) : Time(record.TimeUnixNano),
            resource, record.SeverityNumber == 0 ? LogLevel.Information : (LogLevel)(Math.Clamp(record.SeverityNumber - 1, 0, 23) / 4),
            Cut(scope.Scope?.Name), Text(record.Body), Id(record.TraceId, 16), Id(record.SpanId, 8), Attributes(record.Attributes)))).ToArray();
        Logs.Add(entries);
        resource.Count(logs: entries.Length);
        return 0;
    }, logs => logs.ScopeLogs.Sum(scope => scope.LogRecords.Count));

    public long Add(ExportTraceServiceRequest request) => Add(request.ResourceSpans, spans => spans.Resource, (spans, resource) =>
    {
        var (entries, refused) = (new List<SpanEntry>(), 0);
        foreach (var scope in spans.ScopeSpans)
        {
            foreach (var span in scope.Spans)
            {
                if (Id(span.TraceId, 16) is not { } traceId || Id(span.SpanId, 8) is not { } spanId)
                {
                    refused++;
                    continue;
                }

                entries.Add(new(
                    resource, Cut(scope.Scope?.Name), traceId, spanId, Id(span.ParentSpanId, 8), Cut(span.Name), span.Kind.ToString(),
                    Time(span.StartTimeUnixNano),
                    TimeSpan.FromTicks((long)(Math.Max(span.EndTimeUnixNano, span.StartTimeUnixNano) / 100 - span.StartTimeUnixNano / 100)),
                    span.Status?.Code == Status.Types.StatusCode.Error, Cut(span.Status?.Message), Attributes(span.Attributes),
                    [.. span.Events.Take(limits.Items).Select(e => new SpanEvent(Time(e.TimeUnixNano), Cut(e.Name), Attributes(e.Attributes)))],
                    [.. span.Links.Take(limits.Items).Select(link => (Trace: Id(link.TraceId, 16), Span: Id(link.SpanId, 8)))
                        .Where(link => link is (not null, not null)).Select(link => new SpanLink(link.Trace!, link.Span!))]));
            }
        }

        Spans.Add(entries);
        resource.Count(spans: entries.Count);
        return refused;
    }, spans => spans.ScopeSpans.Sum(scope => scope.Spans.Count));

    public long Add(ExportMetricsServiceRequest request) => Add(request.ResourceMetrics, metrics => metrics.Resource, (metrics, resource) =>
    {
        var (taken, refused) = (0, 0);
        foreach (var scope in metrics.ScopeMetrics)
        {
            foreach (var metric in scope.Metrics)
            {
                var (added, not) = Metrics.Add(resource, Cut(scope.Scope?.Name), metric, Attributes);
                (taken, refused) = (taken + added, refused + not);
            }
        }

        resource.Count(points: taken);
        return refused;
    }, metrics => metrics.ScopeMetrics.Sum(scope => scope.Metrics.Count));

    private long Add<T>(RepeatedField<T> groups, Func<T, Resource?> from, Func<T, TelemetryResource, int> add, Func<T, int> count)
    {
        var refused = groups.Sum(group => Find(from(group)) is { } resource ? add(group, resource) : (long)count(group));
        Interlocked.Add(ref _refused, refused);
        Interlocked.Increment(ref _version);
        return refused;
    }

    /// <summary>Finds the process or takes in a new one. Beyond the limit the newcomer is refused.</summary>
    private TelemetryResource? Find(Resource? sender)
    {
        string Attribute(string key) => Text(sender?.Attributes.FirstOrDefault(a => a.Key == key)?.Value);
        var (name, instance) = (Attribute("service.name"), Attribute("service.instance.id"));
        if (name.Length == 0) name = "unknown_service";
        lock (_gate)
        {
            var id = TelemetryResource.IdOf(name, instance);
            if (_resources.TryGetValue(id, out var known)) return known;
            return _resources.Count < limits.Resources ? _resources[id] = new(name, instance, _resources.Count) : null;
        }
    }

    private KeyValuePair<string, string>[] Attributes(RepeatedField<KeyValue> attributes)
    {
        var texts = new KeyValuePair<string, string>[Math.Min(attributes.Count, limits.Items)];
        for (var i = 0; i < texts.Length; i++)
        {
            texts[i] = new(Cut(attributes[i].Key), Text(attributes[i].Value));
        }

        return texts;
    }

    private string Text(AnyValue? value) => value?.ValueCase switch
    {
        null or AnyValue.ValueOneofCase.None => "",
        AnyValue.ValueOneofCase.StringValue => Cut(value.StringValue),
        AnyValue.ValueOneofCase.BoolValue => value.BoolValue ? "true" : "false",
        AnyValue.ValueOneofCase.IntValue => value.IntValue.ToString(CultureInfo.InvariantCulture),
        AnyValue.ValueOneofCase.DoubleValue => value.DoubleValue.ToString(CultureInfo.InvariantCulture),
        AnyValue.ValueOneofCase.BytesValue => Cut(value.BytesValue.ToBase64()),
        AnyValue.ValueOneofCase.ArrayValue => Join('[', value.ArrayValue.Values.Select(Text), ']'),
        _ => Join('{', value.KvlistValue.Values.Select(pair => $"{Cut(pair.Key)}: {Text(pair.Value)}"), '}'),
    };

    // Stops at the limit: a value may be nested and long.
    private string Join(char open, IEnumerable<string> parts, char close)
    {
        var text = new StringBuilder().Append(open);
        foreach (var part in parts)
        {
            if (text.Length > 1) text.Append(", ");
            if (text.Append(part).Length > limits.Text) break;
        }

        return Cut(text.Append(close).ToString());
    }

    private string Cut(string? text) => text is null ? "" : text.Length <= limits.Text ? text : string.Concat(text.AsSpan(0, limits.Text), "…");

    /// <summary>An id in hexadecimal digits, or <see langword="null"/> where it is absent, of another length or all zero.</summary>
    private static string? Id(ByteString bytes, int length) =>
        bytes.Length == length && bytes.Span.ContainsAnyExcept((byte)0) ? Convert.ToHexStringLower(bytes.Span) : null;

    private static DateTimeOffset Time(ulong unixNanoseconds) => DateTimeOffset.UnixEpoch.AddTicks((long)(unixNanoseconds / 100));
}
