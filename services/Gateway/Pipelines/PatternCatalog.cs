
namespace DistributedPatterns.Gateway.Pipelines;

/// <summary>A pattern, as the catalog lists it.</summary>
/// <param name="Question">The question that the pattern answers.</param>
/// <param name="Article">Where in the repository its article is.</param>
internal sealed record PatternEntry(
    string Pattern, string Title, string Question, IReadOnlyList<string> Variants, IReadOnlyList<string> Endpoints, string Article);

/// <summary>Lists the patterns that this gateway serves, with the endpoints that are really mapped.</summary>
internal static class PatternCatalog
{
    public static PatternEntry[] Read(EndpointDataSource endpoints) =>
    [
        new("pipeline", "Pipeline", "How do stages of different speed work on a stream of items at the same time, in bounded memory?",
            PatternRoute.Variants, EndpointsOf("pipeline", endpoints), "services/Patterns/Pipeline/README.md"),
    ];

    private static string[] EndpointsOf(string pattern, EndpointDataSource endpoints)
    {
        var prefix = $"/api/{pattern}/{PatternRoute.Variants[0]}";
        return
        [
            .. from endpoint in endpoints.Endpoints.OfType<RouteEndpoint>()
               let route = endpoint.RoutePattern.RawText!
               where route.StartsWith(prefix, StringComparison.Ordinal)
               from method in endpoint.Metadata.GetMetadata<HttpMethodMetadata>()?.HttpMethods ?? []
               select $"{method} /api/{pattern}/{{variant}}{route[prefix.Length..].TrimEnd('/')}",
        ];
    }
}
