using System.Diagnostics;
using System.Globalization;
using DistributedPatterns.Gateway.Patterns;
using Microsoft.AspNetCore.Mvc;

namespace DistributedPatterns.Gateway.Problems;

/// <summary>Writes problems as RFC 9457 says, with what the patterns add: pattern, variant, reason, retryAfterMs, traceId.</summary>
internal static class ProblemResponse
{
    private static readonly TimeSpan s_retryAfter = TimeSpan.FromSeconds(1);

    public static Task WriteAsync(HttpContext http, ProblemKind kind, string detail) => WriteAsync(http, new Problem(kind, detail));

    public static Task WriteAsync(HttpContext http, Problem error)
    {
        var kind = error.Kind;
        var (pattern, variant) = PatternRoute.Of(http.Request.Path);
        var problem = new ProblemDetails
        {
            Type = $"/problems/{kind.Slug}",
            Title = kind.Title,
            Status = kind.Status,
            Detail = error.Detail,
            Instance = http.Request.Path,
        };
        problem.Extensions["pattern"] = pattern;
        problem.Extensions["variant"] = variant;
        problem.Extensions["reason"] = kind.Slug;
        problem.Extensions["traceId"] = Activity.Current?.TraceId.ToHexString() ?? http.TraceIdentifier;
        // A guess gets up to a fifth more, so that all who were refused together do not come back together; what is known is told exactly.
        var retryAfter = error.RetryAfter
            ?? (kind.Status == StatusCodes.Status503ServiceUnavailable ? s_retryAfter * (1 + Random.Shared.NextDouble() / 5) : null);
        if (retryAfter is { } wait)
        {
            problem.Extensions["retryAfterMs"] = (long)Math.Ceiling(wait.TotalMilliseconds);
            http.Response.Headers.RetryAfter = Math.Max(1, (long)Math.Ceiling(wait.TotalSeconds)).ToString(CultureInfo.InvariantCulture);
        }
        foreach (var (name, value) in error.Headers) http.Response.Headers[name] = value;
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
            WriteAsync(http, ProblemKind.OwnerUnreachable, "The gateway that owns it did not answer."),
        >= 500 => WriteAsync(http, ProblemKind.Internal, "The gateway failed. Its log has the reason under this traceId."),
        _ => WriteAsync(http, ProblemKind.BadRequest, "The request cannot be understood."),
    };

    private static Task WriteNotFoundAsync(HttpContext http)
    {
        var path = http.Request.Path;
        var segments = path.Value!.Split('/', StringSplitOptions.RemoveEmptyEntries);
        if (segments is not ["api", var pattern, ..])
            return WriteAsync(http, ProblemKind.UnknownRoute, $"There is nothing at {Text.Shorten(path)}. The endpoints are listed at /api/patterns.");
        if (!PatternRoute.Patterns.Contains(pattern))
        {
            return WriteAsync(http, ProblemKind.UnknownPattern,
                $"There is no pattern '{Text.Shorten(pattern)}'. There are: {string.Join(", ", PatternRoute.Patterns)}.");
        }
        if (segments.Length < 3 || !PatternRoute.Variants.Contains(segments[2]))
        {
            return WriteAsync(http, ProblemKind.UnknownVariant,
                $"Pattern '{pattern}' has no variant '{(segments.Length < 3 ? "" : Text.Shorten(segments[2]))}'. It has: {string.Join(", ", PatternRoute.Variants)}.");
        }
        return WriteAsync(http, ProblemKind.UnknownRoute,
            $"Pattern '{pattern}' has nothing at {Text.Shorten(path)}. Its endpoints are listed at /api/patterns.");
    }
}
