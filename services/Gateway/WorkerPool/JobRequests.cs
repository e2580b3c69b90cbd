using System.Text.Json;
using System.Text.RegularExpressions;
using DistributedPatterns.Gateway.Problems;
using DistributedPatterns.Scenarios;
using DistributedPatterns.WorkerPool;

namespace DistributedPatterns.Gateway.WorkerPool;

/// <summary>Reads what a request for a job asks for: a JSON body with a job and its input, or simulated work in the query.</summary>
internal static partial class JobRequests
{
    public const string IdempotencyKey = "Idempotency-Key";

    // The queue takes 64 KiB with its envelope; what is larger belongs into a file that the job reads.
    private const int MaxJsonBytes = 60 * 1024;
    private const string Example = "{\"job\":\"sha256\",\"input\":{\"input\":\"unicode-data\"}}";

    /// <exception cref="ProblemException">The request is not what it should be; the message says what is accepted.</exception>
    public static async Task<JobRequest> ReadAsync(HttpContext http, string? work)
    {
        if (work is null) return await ReadBodyAsync(http);
        if (!SimulatedWork.TryParse(work, out _))
            throw new ProblemException(ProblemKind.InvalidParameter, $"Parameter 'work' takes {SimulatedWork.Accepted}, not '{Text.Shorten(work)}'.");
        if (http.Request.ContentLength > 0) throw new ProblemException(ProblemKind.InvalidParameter, "Parameter 'work' asks for simulated work; then there is no body.");
        return new JobRequest(SimulatedJob.Name, JsonElementOf(work));
    }

    /// <exception cref="ProblemException">It is no key.</exception>
    public static void CheckKey(string? key)
    {
        if (key is not null && !Key().IsMatch(key))
            throw new ProblemException(ProblemKind.InvalidParameter, $"The header {IdempotencyKey} takes 1 to 64 letters, digits, '-' and '_'.");
    }

    private static async Task<JobRequest> ReadBodyAsync(HttpContext http)
    {
        var type = http.Request.ContentType?.Split(';')[0].Trim();
        if (!string.Equals(type, "application/json", StringComparison.OrdinalIgnoreCase))
        {
            throw string.IsNullOrEmpty(type) && http.Request.ContentLength is null or 0
                ? new ProblemException(ProblemKind.EmptyBody, $"The body is empty. Send application/json such as {Example}, or ask for simulated work with work=.")
                : new ProblemException(ProblemKind.UnsupportedMediaType, $"The Content-Type '{Text.Shorten(type ?? "")}' is not accepted. Accepted is application/json, such as {Example}.");
        }
        if (http.Request.ContentLength > MaxJsonBytes) throw TooLarge();
        var body = new byte[(int)(http.Request.ContentLength ?? MaxJsonBytes) + 1];
        var length = await http.Request.Body.ReadAtLeastAsync(body, body.Length, throwOnEndOfStream: false, http.RequestAborted);
        if (length > MaxJsonBytes) throw TooLarge();
        if (length == 0) throw new ProblemException(ProblemKind.EmptyBody, $"The body is empty. Send {Example}.");
        try
        {
            var submission = JsonSerializer.Deserialize(body.AsSpan(0, length), WorkerPoolEndpointsJson.Default.JobSubmission)
                ?? throw new ProblemException(ProblemKind.MalformedBody, $"The body is null. Send {Example}.");
            return new JobRequest(
                submission.Job ?? throw new ProblemException(ProblemKind.UnknownJob, $"The field 'job' is missing. Send {Example}."),
                submission.Input ?? throw new ProblemException(ProblemKind.InvalidJobInput, $"The field 'input' is missing: what the job works on. Send {Example}."));
        }
        catch (JsonException error)
        {
            throw new ProblemException(ProblemKind.MalformedBody,
                $"The body is not a JSON object with 'job' and 'input'; see {error.Path ?? "$"}, line {error.LineNumber + 1 ?? 1}, byte {error.BytePositionInLine + 1 ?? 1}.", error);
        }

        static ProblemException TooLarge() => new(
            ProblemKind.BodyTooLarge, $"The JSON body is larger than {MaxJsonBytes:N0} bytes. Put what the job works on into a file, and name that.");
    }

    private static JsonElement JsonElementOf(string text) => JsonSerializer.SerializeToElement(text, WorkerPoolEndpointsJson.Default.String);

    [GeneratedRegex(@"\A[A-Za-z0-9_-]{1,64}\z")]
    private static partial Regex Key();
}
