using DistributedPatterns.Gateway.Problems;
using Microsoft.Net.Http.Headers;

namespace DistributedPatterns.Gateway.Uploads;

/// <summary>What an uploaded file may call itself.</summary>
internal static class TextBody
{
    private static readonly string[] s_charsets = ["utf-8", "us-ascii"];

    public static IReadOnlyList<string> Types { get; } = ["text/plain", "application/octet-stream"];

    /// <summary>Refuses a body that is not a file as it is.</summary>
    public static void Check(HttpRequest request)
    {
        CheckEncoding(request);
        var type = request.ContentType?.Split(';')[0].Trim();
        if (Types.Contains(type, StringComparer.OrdinalIgnoreCase)) return;
        throw string.IsNullOrEmpty(type) && request.ContentLength is null or 0
            ? new ProblemException(ProblemKind.EmptyBody, $"The body is empty. Send a file as {string.Join(" or ", Types)}.")
            : new ProblemException(ProblemKind.UnsupportedMediaType, $"The Content-Type '{type}' is not accepted. Accepted are {string.Join(" and ", Types)}.");
    }

    /// <summary>Refuses what would else be read as UTF-8 and give a run of malformed lines.</summary>
    public static void CheckEncoding(HttpRequest request)
    {
        if (request.Headers.ContentEncoding.ToString() is { Length: > 0 } encoding && !encoding.Equals("identity", StringComparison.OrdinalIgnoreCase))
            throw new ProblemException(ProblemKind.UnsupportedMediaType, $"The Content-Encoding '{encoding}' is not accepted. Send the body as it is.");
        if (MediaTypeHeaderValue.TryParse(request.ContentType, out var type) && type.Charset is { Length: > 0 } charset
            && !s_charsets.Contains(HeaderUtilities.RemoveQuotes(charset).Value, StringComparer.OrdinalIgnoreCase))
        {
            throw new ProblemException(ProblemKind.UnsupportedMediaType, $"The charset '{charset}' is not accepted. Send UTF-8.");
        }
    }
}
