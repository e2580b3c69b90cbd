using System.Text.Json.Serialization;
using DistributedPatterns.Payloads;

namespace DistributedPatterns.Tests.ProducerConsumer;

/// <summary>A kind of payload: how it is written, and one for each number.</summary>
public abstract class Payloads<T>
{
    public abstract IPayloadCodec<T> Codec { get; }

    public abstract T Of(int number);
}

/// <summary>Lines of text, some of them not ASCII.</summary>
public sealed class TextPayloads : Payloads<string>
{
    public override IPayloadCodec<string> Codec => PayloadCodec.Utf8;

    public override string Of(int number) => $"Zeile {number}: ∑ü\0\n\"{new string('x', number % 50)}\"";
}

/// <summary>Records of a sensor, as JSON.</summary>
public sealed class ReadingPayloads : Payloads<Reading>
{
    public override IPayloadCodec<Reading> Codec => PayloadCodec.Json(QueueTestJson.Default.Reading);

    public override Reading Of(int number) => new($"sensor-{number % 7}", number / 3.0, number % 2 == 0 ? null : [number, -number]);
}

public sealed record Reading(string Sensor, double Value, int[]? Raw)
{
    public bool Equals(Reading? other) => other is not null && (Sensor, Value) == (other.Sensor, other.Value) && (Raw ?? []).SequenceEqual(other.Raw ?? []);

    public override int GetHashCode() => HashCode.Combine(Sensor, Value);
}

[JsonSerializable(typeof(Reading))]
internal sealed partial class QueueTestJson : JsonSerializerContext;
