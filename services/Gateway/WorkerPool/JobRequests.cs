using System.Buffers;
using System.Text.Json;
using DistributedPatterns.Gateway.Idempotency;
using DistributedPatterns.Gateway.Problems;
using DistributedPatterns.Scenarios;
using DistributedPatterns.WorkerPool;

namespace DistributedPatterns.Gateway.WorkerPool;

/// <summary>Reads what a request for a job asks for: a JSON body with a job and its input, or simulated work in the query.</summary>
internal static class JobRequests
{
    // The queue takes 64 KiB with its envelope; what is larger belongs into a file that the job reads.
    private const int MaxJsonBytes = 60 * 1024;
    private const string Example = "{\"job\":\"sha256\",\"input\":{\"input\":\"unicode-data\"}}";

    private static readonly JsonBody s_body = new(
        MaxJsonBytes, "a JSON object with 'job' and 'input'", $"{Example}, or ask for simulated work with work=", "Put what the job works on into a file, and name that.");

    /// <exception cref="ProblemException">The request is not what it should be; the message says what is accepted.</exception>
    public static async Task<JobRequest> ReadAsync(HttpContext http, string? work)
    {
        if (work is null) return await ReadBodyAsync(http);
        if (!SimulatedWork.TryParse(work, out _))
            throw new ProblemException(ProblemKind.InvalidParameter, $"Parameter 'work' takes {SimulatedWork.Accepted}, not '{Text.Shorten(work)}'.");
        if (http.Request.ContentLength > 0) throw new ProblemException(ProblemKind.InvalidParameter, "Parameter 'work' asks for simulated work; then there is no body.");
        return new JobRequest(SimulatedJob.Name, JsonElementOf(work));
    }

    private static async Task<JobRequest> ReadBodyAsync(HttpContext http)
    {
        var submission = await s_body.ReadAsync(http, WorkerPoolEndpointsJson.Default.JobSubmission);
        return new JobRequest(
            submission.Job ?? throw new ProblemException(ProblemKind.UnknownJob, $"The field 'job' is missing. Send {Example}."),
            submission.Input ?? throw new ProblemException(ProblemKind.InvalidJobInput, $"The field 'input' is missing: what the job works on. Send {Example}."));
    }

    /// <summary>Hashes what a request asks for, without the blanks that it came with.</summary>
    public static string FingerprintOf(JobRequest request)
    {
        var bytes = new ArrayBufferWriter<byte>();
        using var json = new Utf8JsonWriter(bytes);
        json.WriteStartObject();
        json.WritePropertyName(request.Job);
        request.Input.WriteTo(json);
        json.WriteEndObject();
        json.Flush();
        return IdempotencyKey.FingerprintOf(bytes.WrittenSpan);
    }

    private static JsonElement JsonElementOf(string text) => JsonSerializer.SerializeToElement(text, WorkerPoolEndpointsJson.Default.String);
}
