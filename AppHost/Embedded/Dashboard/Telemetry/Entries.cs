using System.Text.Json.Serialization;
using Microsoft.Extensions.Logging;

namespace Aspire.Hosting.Dashboard.Telemetry;

/// <summary>How much is kept. What is beyond is dropped, oldest first, or cut short; it is counted either way or ends in "…".</summary>
internal sealed record TelemetryLimits
{
    public int Logs { get; init; } = 10_000;

    public int Spans { get; init; } = 20_000;

    /// <summary>Gets the size of all logs, and of all spans, whichever limit is reached first.</summary>
    public long Bytes { get; init; } = 64 * 1024 * 1024;

    public int Resources { get; init; } = 200;

    public int Series { get; init; } = 4_000;

    /// <summary>Gets the points of a series: five minutes at one a second.</summary>
    public int Points { get; init; } = 300;

    /// <summary>Gets the length of a log's message, a name or an attribute's value, in characters.</summary>
    public int Text { get; init; } = 4_096;

    /// <summary>Gets how many attributes, events, links and bounds of buckets an entry has at most.</summary>
    public int Items { get; init; } = 64;
}

/// <summary>A process that sends telemetry.</summary>
internal sealed class TelemetryResource(string name, string instanceId, int number)
{
    private long _logs, _spans, _points;

    /// <summary>Gets its <c>service.name</c>, which replicas share.</summary>
    public string Name { get; } = name;

    /// <summary>Gets its <c>service.instance.id</c>, empty if it sent none.</summary>
    public string InstanceId { get; } = instanceId;

    /// <summary>Gets its number, from 0 in the order of arrival; pages take its colour from it.</summary>
    public int Number { get; } = number;

    /// <summary>Gets the id that the host's resource has.</summary>
    public string Id { get; } = IdOf(name, instanceId);

    public long Logs => Interlocked.Read(ref _logs);

    public long Spans => Interlocked.Read(ref _spans);

    public long Points => Interlocked.Read(ref _points);

    /// <summary>Says whether a name means this process: its own, that of all replicas, or none at all.</summary>
    public bool Is(string? name) => string.IsNullOrEmpty(name)
        || string.Equals(name, Id, StringComparison.OrdinalIgnoreCase) || string.Equals(name, Name, StringComparison.OrdinalIgnoreCase);

    public static string IdOf(string name, string instanceId) => instanceId.Length == 0 ? name : $"{name}-{instanceId}";

    public void Count(int logs = 0, int spans = 0, int points = 0)
    {
        Interlocked.Add(ref _logs, logs);
        Interlocked.Add(ref _spans, spans);
        Interlocked.Add(ref _points, points);
    }
}

internal sealed record LogEntry(
    long Number, DateTimeOffset Time, TelemetryResource Resource, LogLevel Level, string Category, string Message, string? TraceId, string? SpanId,
    IReadOnlyList<KeyValuePair<string, string>> Attributes)
{
    [JsonIgnore]
    public long Size { get; } = 256 + EntrySize.Of(Message) + EntrySize.Of(Attributes);
}

internal sealed record SpanEntry(
    TelemetryResource Resource, string Scope, string TraceId, string SpanId, string? ParentId, string Name, string Kind, DateTimeOffset Start,
    TimeSpan Duration, bool IsError, string? Error, IReadOnlyList<KeyValuePair<string, string>> Attributes,
    IReadOnlyList<SpanEvent> Events, IReadOnlyList<SpanLink> Links)
{
    public DateTimeOffset End => Start + Duration;

    [JsonIgnore]
    public long Size { get; } = 512 + EntrySize.Of(Name) + EntrySize.Of(Error) + EntrySize.Of(Attributes)
        + Links.Count * 256 + Events.Sum(e => 64 + EntrySize.Of(e.Name) + EntrySize.Of(e.Attributes));
}

internal sealed record SpanEvent(DateTimeOffset Time, string Name, IReadOnlyList<KeyValuePair<string, string>> Attributes);

internal sealed record SpanLink(string TraceId, string SpanId);

/// <summary>What entries take in memory, about: two bytes a character, and the objects around them.</summary>
internal static class EntrySize
{
    public static long Of(string? text) => text is null ? 0 : 24 + 2 * text.Length;

    public static long Of(IReadOnlyList<KeyValuePair<string, string>> attributes) => attributes.Sum(a => 16 + Of(a.Key) + Of(a.Value));
}
