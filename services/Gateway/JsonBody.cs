using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using DistributedPatterns.Gateway.Problems;

namespace DistributedPatterns.Gateway;

/// <summary>Reads JSON bodies, and says what is wrong with one and what is accepted.</summary>
/// <param name="What">What the body should be, for people: "a JSON object with 'job' and 'input'".</param>
/// <param name="Example">A body that is accepted.</param>
/// <param name="Instead">What to do with more than <paramref name="MaxBytes"/>.</param>
internal sealed record JsonBody(int MaxBytes, string What, string Example, string Instead)
{
    private const string Json = "application/json";

    /// <exception cref="ProblemException">The body is not what it should be.</exception>
    public async Task<T> ReadAsync<T>(HttpContext http, JsonTypeInfo<T> typeInfo) where T : class
    {
        var type = http.Request.ContentType?.Split(';')[0].Trim();
        if (!string.Equals(type, Json, StringComparison.OrdinalIgnoreCase))
        {
            throw string.IsNullOrEmpty(type) && http.Request.ContentLength is null or 0
                ? new ProblemException(ProblemKind.EmptyBody, $"The body is empty. Send {Json} such as {Example}.")
                : new ProblemException(ProblemKind.UnsupportedMediaType, $"The Content-Type '{Text.Shorten(type ?? "")}' is not accepted. Accepted is {Json}, such as {Example}.");
        }
        if (http.Request.ContentLength > MaxBytes) throw TooLarge();
        var body = new byte[(int)(http.Request.ContentLength ?? MaxBytes) + 1];
        var length = await http.Request.Body.ReadAtLeastAsync(body, body.Length, throwOnEndOfStream: false, http.RequestAborted);
        if (length > MaxBytes) throw TooLarge();
        if (length == 0) throw new ProblemException(ProblemKind.EmptyBody, $"The body is empty. Send {Example}.");
        try
        {
            return JsonSerializer.Deserialize(body.AsSpan(0, length), typeInfo) ?? throw new ProblemException(ProblemKind.MalformedBody, $"The body is null. Send {Example}.");
        }
        catch (JsonException error)
        {
            throw new ProblemException(ProblemKind.MalformedBody,
                $"The body is not {What}; see {error.Path ?? "$"}, line {error.LineNumber + 1 ?? 1}, byte {error.BytePositionInLine + 1 ?? 1}.", error);
        }
    }

    private ProblemException TooLarge() => new(ProblemKind.BodyTooLarge, $"The JSON body is larger than {MaxBytes:N0} bytes. {Instead}");
}
