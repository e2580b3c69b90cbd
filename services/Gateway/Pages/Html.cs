using System.Net;
using System.Text;
using DistributedPatterns.Gateway.Patterns;
using DistributedPatterns.Gateway.Problems;
using Microsoft.AspNetCore.Http.HttpResults;

namespace DistributedPatterns.Gateway.Pages;

/// <summary>The few pages for people: the index and the explanations of problems.</summary>
internal static class Html
{
    public static IResult Index(HttpContext http)
    {
        var here = $"{http.Request.Scheme}://{http.Request.Host}";
        var examples = WebUtility.HtmlEncode(string.Join('\n', GatewayPatterns.All.SelectMany(pattern => pattern.Examples).Select(e => "curl " + e.Replace("{here}", here, StringComparison.Ordinal))));
        return Page("DistributedPatterns", $$"""
            <p>Concurrency patterns, each built twice behind one contract: inside a process on channels, and across processes on gRPC and Redis.</p>
            <ul>
              <li><a href="/api/patterns">Catalog</a>: the patterns and their endpoints</li>
              <li><a href="/scalar">Reference</a>: every endpoint, to try out (<a href="/openapi/v1.json">OpenAPI</a>)</li>
              <li><a href="/problems">Problems</a>: what an error says and what to do</li>
            </ul>
            <h2>Try it</h2>
            <pre>
            {{examples}}</pre>
            <p>Put <code>distributed</code> for <code>channel</code> to run the same across processes.</p>
            """);
    }

    public static IResult Problems()
    {
        var rows = new StringBuilder();
        foreach (var kind in ProblemKind.All)
            rows.Append($"<tr><td><a href=\"/problems/{kind.Slug}\">{kind.Slug}</a></td><td>{kind.Status}</td><td>{WebUtility.HtmlEncode(kind.Title)}</td></tr>\n");
        return Page("Problems", $"<table>\n<tr><th>problem</th><th>status</th><th>what it says</th></tr>\n{rows}</table>\n<p><a href=\"/\">Index</a></p>");
    }

    public static IResult Problem(string slug) =>
        ProblemKind.All.FirstOrDefault(kind => kind.Slug == slug) is { } kind
            ? Page(kind.Title, $"<p><code>{kind.Slug}</code>, status {kind.Status}</p>\n<p>{WebUtility.HtmlEncode(kind.Remedy)}</p>\n<p><a href=\"/problems\">All problems</a></p>")
            : throw new ProblemException(ProblemKind.UnknownRoute, "There is no such kind of problem. All are listed at /problems.");

    private static ContentHttpResult Page(string title, string body) => TypedResults.Content($$"""
        <!doctype html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <title>{{WebUtility.HtmlEncode(title)}}</title>
        <style>
        :root { color-scheme: light dark }
        body { font: 16px/1.5 system-ui, sans-serif; max-width: 56rem; margin: 2rem auto; padding: 0 1rem }
        pre { overflow-x: auto; padding: 1rem; border: 1px solid #8886; border-radius: 6px }
        td, th { text-align: left; padding: .2rem 1rem .2rem 0; vertical-align: top }
        </style>
        </head>
        <body>
        <h1>{{WebUtility.HtmlEncode(title)}}</h1>
        {{body}}
        </body>
        </html>
        """, "text/html; charset=utf-8");
}
