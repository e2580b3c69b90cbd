using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Net.Http.Headers;

namespace Aspire.Hosting.Dashboard;

/// <summary>Serves the scripts and styles that the build put into this assembly. They hold no secret, and the login page needs them.</summary>
internal static class Assets
{
    private const string Folder = "wwwroot";

    public static void MapAssets(this IEndpointRouteBuilder app)
    {
        var assembly = typeof(Assets).Assembly;
        var version = new EntityTagHeaderValue($"\"{assembly.ManifestModule.ModuleVersionId:N}\"");
        foreach (var name in assembly.GetManifestResourceNames().Where(name => name.StartsWith(Folder, StringComparison.Ordinal)))
        {
            var type = name.EndsWith(".css", StringComparison.Ordinal) ? "text/css" : "text/javascript";
            app.MapGet(name[Folder.Length..], () => Results.Stream(assembly.GetManifestResourceStream(name)!, type, entityTag: version)).AllowAnonymous();
        }
    }
}
