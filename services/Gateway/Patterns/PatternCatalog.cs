namespace DistributedPatterns.Gateway.Patterns;

/// <summary>A pattern, as the catalog lists it.</summary>
internal sealed record PatternEntry(
    string Pattern, string Title, string Question, IReadOnlyList<string> Variants, IReadOnlyList<string> Endpoints, string Article);

/// <summary>Lists the patterns that this gateway serves, with the endpoints that are really mapped.</summary>
internal static class PatternCatalog
{
    public static PatternEntry[] Read(EndpointDataSource endpoints) =>
    [
        .. GatewayPatterns.All.Select(pattern => new PatternEntry(
            pattern.Name, pattern.Title, pattern.Question, PatternRoute.Variants, EndpointsOf(pattern.Name, endpoints), pattern.Article)),
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
