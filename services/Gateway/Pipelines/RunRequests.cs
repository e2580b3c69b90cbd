using System.Text.Json;
using DistributedPatterns.Gateway.Problems;
using DistributedPatterns.Gateway.Uploads;
using DistributedPatterns.Pipeline;

namespace DistributedPatterns.Gateway.Pipelines;

/// <summary>Reads what a request for a run asks for: a JSON body that names an input, or a body that is the input.</summary>
internal sealed class RunRequests(PipelineCatalog catalog, UploadStore uploads)
{
    private const int MaxJsonBytes = 16 * 1024;
    private const string Json = "application/json";

    /// <exception cref="ProblemException">The body is not what it should be; the message says what is accepted.</exception>
    public async Task<(PipelineRequest Request, Upload? Upload)> ReadAsync(HttpContext http, string? pipeline)
    {
        TextBody.CheckEncoding(http.Request);
        var type = http.Request.ContentType?.Split(';')[0].Trim();
        if (string.Equals(type, Json, StringComparison.OrdinalIgnoreCase)) return (await ReadJsonAsync(http, pipeline), null);
        if (!TextBody.Types.Contains(type, StringComparer.OrdinalIgnoreCase))
        {
            throw string.IsNullOrEmpty(type) && http.Request.ContentLength is null or 0
                ? new ProblemException(ProblemKind.EmptyBody, $"The body is empty. Send {Json} such as {{\"pipeline\":\"unicode\",\"input\":\"unicode-data\"}}, or a file.")
                : new ProblemException(ProblemKind.UnsupportedMediaType,
                    $"The Content-Type '{type}' is not accepted. Accepted are {Json} and, for an upload, {string.Join(" and ", TextBody.Types)}.");
        }

        // Before the body: nobody should send 64 MiB to learn that a name is wrong.
        catalog.Get(pipeline ?? throw Missing("The parameter 'pipeline' of an upload"));
        var upload = await uploads.ReceiveAsync(http);
        return (new PipelineRequest(pipeline, upload.Name), upload);
    }

    private async Task<PipelineRequest> ReadJsonAsync(HttpContext http, string? pipeline)
    {
        if (pipeline is not null) throw new ProblemException(ProblemKind.InvalidParameter, "Parameter 'pipeline' is for uploads; a JSON body names the pipeline itself.");
        var body = new byte[MaxJsonBytes + 1];
        var length = http.Request.ContentLength > MaxJsonBytes ? body.Length
            : await http.Request.Body.ReadAtLeastAsync(body, body.Length, throwOnEndOfStream: false, http.RequestAborted);
        if (length == 0) throw new ProblemException(ProblemKind.EmptyBody, "The body is empty. Send {\"pipeline\":\"unicode\",\"input\":\"unicode-data\"}.");
        if (length > MaxJsonBytes) throw new ProblemException(ProblemKind.BodyTooLarge, $"The JSON body is larger than {MaxJsonBytes:N0} bytes. Upload a file as text/plain.");
        try
        {
            var request = JsonSerializer.Deserialize(body.AsSpan(0, length), PipelineEndpointsJson.Default.RunRequest)
                ?? throw new ProblemException(ProblemKind.MalformedBody, "The body is null instead of an object with 'pipeline' and 'input'.");
            return new PipelineRequest(request.Pipeline ?? throw Missing("The field 'pipeline'"), request.Input
                ?? throw new ProblemException(ProblemKind.InvalidInput, "The field 'input' is missing: what the pipeline reads, such as unicode-data."));
        }
        catch (JsonException error)
        {
            throw new ProblemException(ProblemKind.MalformedBody, $"The body is not a JSON object with the texts 'pipeline' and 'input'; see {error.Path ?? "$"}, line {error.LineNumber + 1 ?? 1}, byte {error.BytePositionInLine + 1 ?? 1}.", error);
        }
    }

    private ProblemException Missing(string what) => new(
        ProblemKind.UnknownPipeline, $"{what} is missing. There are: {string.Join(", ", catalog.All.Select(definition => definition.Name))}.");
}
