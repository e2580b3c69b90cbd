using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Aspire.Hosting.Dashboard.Telemetry;

/// <summary>The telemetry as JSON, for tests and tools: <c>/api/telemetry/…</c>.</summary>
/// <remarks>
/// A caller sends the key in <see cref="KeyHeader"/> or is logged in. Lists begin with the newest and come as <see cref="Page{T}"/>;
/// a parameter that is not known or not accepted is a 400 that says what is. Durations are in milliseconds.
/// </remarks>
internal static class TelemetryApi
{
    public const string KeyHeader = "x-api-key";

    private static readonly JsonSerializerOptions s_json = new(JsonSerializerDefaults.Web)
    {
        Converters =
        {
            new JsonStringEnumConverter(),
            new Writer<TelemetryResource>((json, resource) => json.WriteStringValue(resource.Id)),
            new Writer<TimeSpan>((json, duration) => json.WriteNumberValue(duration.TotalMilliseconds)),
            new Writer<IReadOnlyList<KeyValuePair<string, string>>>((json, attributes) =>
            {
                json.WriteStartObject();
                foreach (var (key, value) in attributes.DistinctBy(a => a.Key)) json.WriteString(key, value);
                json.WriteEndObject();
            }),
        },
    };

    internal sealed record Page<T>(int TotalCount, int ReturnedCount, long Dropped, IEnumerable<T> Data);

    internal sealed record ResourceSummary(string Name, string DisplayName, string InstanceId, long Logs, long Spans, long Points);

    internal sealed record TraceSummary(
        string TraceId, string Name, TelemetryResource Resource, DateTimeOffset Start, TimeSpan Duration, int SpanCount, int ErrorCount, Dictionary<string, int> Resources)
    {
        public static TraceSummary Of(Trace trace) => new(
            trace.Id, trace.Root.Name, trace.Root.Resource, trace.Spans[0].Start, trace.Duration, trace.Spans.Count, trace.Errors,
            trace.Resources.ToDictionary(r => r.Resource.Id, r => r.Spans));
    }

    /// <param name="Linked">The traces that link to this one, and those that link to them in turn.</param>
    internal sealed record TraceDetail(TraceSummary Trace, IReadOnlyList<SpanEntry> Spans, IEnumerable<string> Linked);

    internal sealed record InstrumentValues(Instrument Instrument, IEnumerable<SeriesValue> Series);

    internal sealed record SeriesValue(
        TelemetryResource Resource, IReadOnlyList<KeyValuePair<string, string>> Attributes, MetricPoint Latest, Dictionary<string, double?>? Percentiles);

    public static void Map(IEndpointRouteBuilder app, string key)
    {
        var api = app.MapGroup("/api/telemetry").AllowAnonymous().AddEndpointFilter((call, next) =>
            IsCaller(call.HttpContext, key) ? next(call) : ValueTask.FromResult<object?>(
                Results.Problem($"Send the key in {KeyHeader}, or log in.", statusCode: StatusCodes.Status401Unauthorized)));

        Get("/resources", [], (store, _) =>
            store.Resources().Select(r => new ResourceSummary(r.Id, r.Name, r.InstanceId, r.Logs, r.Spans, r.Points)));
        Get("/logs", ["resource", "traceId", "severity", "search", "limit"], (store, query) =>
            query.Page(LogFilter.From(query).Apply(store.Logs.Snapshot()), store.Logs.Dropped));
        Get("/spans", ["resource", "traceId", "hasError", "search", "limit"], (store, query) =>
            query.Page(SpanFilter.From(query).Apply(store.Spans.Snapshot()), store.Spans.Dropped));
        Get("/traces", ["resource", "hasError", "search", "limit"], (store, query) =>
            query.Page(SpanFilter.From(query).Traces(store.Spans.Snapshot()).Select(TraceSummary.Of), store.Spans.Dropped));
        Get("/traces/{traceId}", [], (store, query) =>
        {
            var (id, spans) = (query.TraceId!, store.Spans.Snapshot());
            return Trace.Group(spans.Where(span => span.TraceId == id)).FirstOrDefault() is { } trace
                ? new TraceDetail(TraceSummary.Of(trace), trace.Spans,
                    Waterfall.Of(id, spans, int.MaxValue).Where(row => row.IsLinked).Select(row => row.Span.TraceId).Distinct())
                : null;
        });
        Get("/metrics", ["resource", "meter", "instrument"], (store, query) => store.Metrics.Instruments(query["resource"])
            .Where(i => (query["meter"] ?? i.Meter) == i.Meter && (query["instrument"] ?? i.Name) == i.Name)
            .Select(i => new InstrumentValues(i, store.Metrics.Series(query["resource"], i.Meter, i.Name).Select(series => new SeriesValue(
                series.Resource, series.Attributes, series.Points[^1], MetricMath.Percentiles(series.Bounds, series.Points[^1].Buckets))))));

        void Get(string path, string[] accepted, Func<TelemetryStore, ApiQuery, object?> read) => api.MapGet(path, (HttpContext http, TelemetryStore store) =>
        {
            try
            {
                return read(store, new ApiQuery(http.Request, accepted)) is { } found
                    ? Results.Json(found, s_json)
                    : Results.Problem("There is none, or it is no longer kept.", statusCode: StatusCodes.Status404NotFound);
            }
            catch (BadHttpRequestException mistake)
            {
                return Results.Problem(mistake.Message, statusCode: StatusCodes.Status400BadRequest);
            }
        });
    }

    private static bool IsCaller(HttpContext http, string key) =>
        http.Request.Headers[KeyHeader] is { Count: > 0 } given ? OtlpReceiver.IsKey(given, key) : http.User.Identity is { IsAuthenticated: true };

    private sealed class Writer<T>(Action<Utf8JsonWriter, T> write) : JsonConverter<T>
    {
        public override T Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) => throw new NotSupportedException();

        public override void Write(Utf8JsonWriter writer, T value, JsonSerializerOptions options) => write(writer, value);
    }
}

/// <summary>The parameters of a request, each checked when it is read.</summary>
internal sealed class ApiQuery
{
    private readonly HttpRequest _request;

    public ApiQuery(HttpRequest request, string[] accepted)
    {
        _request = request;
        if (request.Query.Keys.FirstOrDefault(key => !accepted.Contains(key, StringComparer.OrdinalIgnoreCase)) is { } unknown)
            throw new BadHttpRequestException($"The parameter '{unknown}' is not known. Accepted: {(accepted.Length == 0 ? "none" : string.Join(", ", accepted))}.");
    }

    public string? this[string name] =>
        _request.RouteValues[name] as string ?? (_request.Query[name].FirstOrDefault() is { Length: > 0 } value ? value : null);

    public string? TraceId => Read("traceId", text => text.Length == 32 && text.All(char.IsAsciiHexDigitLower) ? text : null, "32 lower-case hexadecimal digits");

    /// <summary>Reads a parameter, <see langword="null"/> where it was not sent.</summary>
    public T? Read<T>(string name, Func<string, T?> parse, string accepted) => this[name] is not { } text
        ? default : parse(text) ?? throw new BadHttpRequestException($"{name} is '{text}'. Accepted: {accepted}.");

    public TelemetryApi.Page<T> Page<T>(IEnumerable<T> found, long dropped)
    {
        var limit = Read("limit", text => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var n) && n is > 0 and <= 10_000 ? n : (int?)null,
            "a whole number from 1 to 10000") ?? 200;
        var all = found.ToList();
        return new(all.Count, Math.Min(limit, all.Count), dropped, all.Take(limit));
    }
}
