using System.Diagnostics;
using System.Globalization;
using DistributedPatterns.Gateway.Pipelines;
using Microsoft.AspNetCore.Mvc;

namespace DistributedPatterns.Gateway.Problems;

/// <summary>Writes problems as RFC 9457 says, with what the patterns add: pattern, variant, reason, retryAfterMs, traceId.</summary>
internal static class ProblemResponse
{
    private const int RetryAfterMs = 1_000;

    public static Task WriteAsync(HttpContext http, ProblemKind kind, string detail)
    {
        var (pattern, variant) = PatternRoute.Of(http.Request.Path);
        var problem = new ProblemDetails
        {
            Type = $"/problems/{kind.Slug}",
            Title = kind.Title,
            Status = kind.Status,
            Detail = detail,
            Instance = http.Request.Path,
        };
        problem.Extensions["pattern"] = pattern;
        problem.Extensions["variant"] = variant;
        problem.Extensions["reason"] = kind.Slug;
        problem.Extensions["traceId"] = Activity.Current?.TraceId.ToHexString() ?? http.TraceIdentifier;
        if (kind.Status == StatusCodes.Status503ServiceUnavailable)
        {
            // Up to a fifth more, so that all who were refused together do not come back together.
            var retryAfter = RetryAfterMs + Random.Shared.Next(RetryAfterMs / 5 + 1);
            problem.Extensions["retryAfterMs"] = retryAfter;
            http.Response.Headers.RetryAfter = ((retryAfter + 999) / 1000).ToString(CultureInfo.InvariantCulture);
        }
        http.Response.StatusCode = kind.Status;
        // Not through the problem details service: it writes nothing for a client that accepts text/html only, and another traceId.
        // Without a token: given one, the writer throws when the client leaves meanwhile, and the log has an error that is none.
        return http.Response.WriteAsJsonAsync(problem, options: null, "application/problem+json", CancellationToken.None);
    }

    /// <summary>Gives a body to an answer that has only a status, as routing and the proxy make them.</summary>
    public static Task WriteForStatusAsync(HttpContext http) => http.Response.StatusCode switch
    {
        StatusCodes.Status404NotFound => WriteNotFoundAsync(http),
        StatusCodes.Status405MethodNotAllowed => WriteAsync(http, ProblemKind.MethodNotAllowed,
            $"{http.Request.Path} takes {http.Response.Headers.Allow}, not {http.Request.Method}."),
        StatusCodes.Status499ClientClosedRequest => Task.CompletedTask,
        StatusCodes.Status502BadGateway or StatusCodes.Status503ServiceUnavailable or StatusCodes.Status504GatewayTimeout =>
            WriteAsync(http, ProblemKind.OwnerUnreachable, "The gateway that owns the run did not answer."),
        >= 500 => WriteAsync(http, ProblemKind.Internal, "The gateway failed. Its log has the reason under this traceId."),
        _ => WriteAsync(http, ProblemKind.BadRequest, "The request cannot be understood."),
    };

    private static Task WriteNotFoundAsync(HttpContext http)
    {
        var path = http.Request.Path;
        var segments = path.Value!.Split('/', StringSplitOptions.RemoveEmptyEntries);
        if (segments is not ["api", var pattern, ..])
            return WriteAsync(http, ProblemKind.UnknownRoute, $"There is nothing at {Shorten(path)}. The endpoints are listed at /api/patterns.");
        if (!PatternRoute.Patterns.Contains(pattern))
        {
            return WriteAsync(http, ProblemKind.UnknownPattern,
                $"There is no pattern '{Shorten(pattern)}'. There are: {string.Join(", ", PatternRoute.Patterns)}.");
        }
        if (segments.Length < 3 || !PatternRoute.Variants.Contains(segments[2]))
        {
            return WriteAsync(http, ProblemKind.UnknownVariant,
                $"Pattern '{pattern}' has no variant '{(segments.Length < 3 ? "" : Shorten(segments[2]))}'. It has: {string.Join(", ", PatternRoute.Variants)}.");
        }
        return WriteAsync(http, ProblemKind.UnknownRoute,
            $"Pattern '{pattern}' has nothing at {Shorten(path)}. Its endpoints are listed at /api/patterns.");
    }

    private static string Shorten(string text) => text.Length <= 80 ? text : text[..80] + "…";
}
