using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using DistributedPatterns.Gateway.Idempotency;
using DistributedPatterns.Gateway.Problems;
using DistributedPatterns.ProducerConsumer;

namespace DistributedPatterns.Gateway.ProducerConsumer;

/// <summary>Reads what a request hands in, and checks it item by item.</summary>
internal static partial class ItemRequests
{
    private const int MaxItems = 100;
    private const int MaxPayloadBytes = 60 * 1024; // the queue takes 64 KiB with its envelope
    private const int MaxBodyBytes = 1024 * 1024;
    private const long MaxMs = 86_400_000;
    private const string Example = "{\"items\":[{\"payload\":{\"n\":1}}]}";

    private static readonly JsonBody s_body = new(MaxBodyBytes, "a JSON object with 'items'", Example, "Hand the items in by several requests.");

    /// <summary>Reads the items, with the ids that they get when their producer gave none.</summary>
    /// <param name="idPrefix">What every id begins with.</param>
    /// <param name="key">The request's Idempotency-Key, which ids without a name derive from.</param>
    /// <exception cref="ProblemException">Something is not accepted; the message says what, and where.</exception>
    public static async Task<IReadOnlyList<WorkItem<byte[]>>> ReadAsync(HttpContext http, string idPrefix, string? key)
    {
        var submission = await s_body.ReadAsync(http, ProducerConsumerJson.Default.ItemsSubmission);
        if (submission.Items is not { Count: >= 1 and <= MaxItems } items)
            throw Refused($"'items' takes 1 to {MaxItems} items, not {submission.Items?.Count ?? 0}. Send {Example}.");
        var start = key ?? Guid.NewGuid().ToString("N");
        return [.. items.Select((item, index) => Read(item, index, idPrefix, items.Count == 1 ? start : $"{start}-{index.ToString(CultureInfo.InvariantCulture)}"))];
    }

    public static string FingerprintOf(IReadOnlyList<WorkItem<byte[]>> items) => IdempotencyKey.FingerprintOf(JsonSerializer.SerializeToUtf8Bytes(
        new ItemsSubmission([.. items.Select(item => new ItemSubmission(
            JsonDocument.Parse(item.Payload).RootElement, item.Id, (long)item.Delay.TotalMilliseconds, item.Priority, (long?)item.TimeToLive?.TotalMilliseconds))]),
        ProducerConsumerJson.Default.ItemsSubmission));

    private static WorkItem<byte[]> Read(ItemSubmission? item, int index, string idPrefix, string newId)
    {
        var where = $"items[{index}]";
        if (item?.Payload is not { } payload) throw Refused($"{where} has no 'payload'. Send {Example}.");
        if (item.Id is { } id && !Id().IsMatch(id)) throw Refused($"{where}.id takes 1 to 64 letters, digits, '-' and '_', not '{Text.Shorten(id)}'.");
        if (item.DelayMs is < 0 or > MaxMs) throw Refused($"{where}.delayMs takes 0 to {MaxMs}, not {item.DelayMs}.");
        if (item.Priority is < 0 or > 15) throw Refused($"{where}.priority takes 0, the most urgent, to 15, not {item.Priority}.");
        if (item.TtlMs is < 1 or > MaxMs) throw Refused($"{where}.ttlMs takes 1 to {MaxMs}, not {item.TtlMs}.");
        var bytes = JsonSerializer.SerializeToUtf8Bytes(payload, ProducerConsumerJson.Default.JsonElement);
        if (bytes.Length > MaxPayloadBytes)
        {
            throw new ProblemException(ProblemKind.BodyTooLarge,
                $"{where}.payload has {bytes.Length:N0} bytes; an item carries {MaxPayloadBytes:N0}. Store it elsewhere and hand in where it lies.");
        }
        return new WorkItem<byte[]>(bytes)
        {
            Id = idPrefix + (item.Id ?? newId),
            Delay = TimeSpan.FromMilliseconds(item.DelayMs ?? 0),
            Priority = item.Priority ?? 0,
            TimeToLive = item.TtlMs is { } ttl ? TimeSpan.FromMilliseconds(ttl) : null,
        };
    }

    private static ProblemException Refused(string detail) => new(ProblemKind.InvalidItems, detail);

    [GeneratedRegex(@"\A[A-Za-z0-9_-]{1,64}\z")]
    private static partial Regex Id();
}
