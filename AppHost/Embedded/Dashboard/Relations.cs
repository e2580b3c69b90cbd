using Aspire.Hosting.ApplicationModel;

namespace Aspire.Hosting.Dashboard;

/// <summary>What a resource points at, by Aspire's kinds of relationship.</summary>
internal static class Relations
{
    public static IEnumerable<(Resource To, string Kind)> Of(Resource resource)
    {
        var expression = resource is ConnectionStringResource { ConnectionStringExpression.ValueProviders: var providers }
            ? providers.OfType<EndpointReferenceExpression>().Select(e => (To: e.Endpoint.Resource, Kind: "Reference"))
            : [];
        return resource.References.Select(r => (To: (Resource)r, Kind: "Reference"))
            .Concat(resource.WaitsFor.Select(r => (To: (Resource)r, Kind: "WaitFor")))
            .Concat(expression)
            .GroupBy(r => r.To, (to, kinds) => (to, string.Join(", ", kinds.Select(k => k.Kind).Distinct())));
    }
}
