using System.Text.Json.Serialization;
using DistributedPatterns.Gateway.Pages;
using DistributedPatterns.Gateway.Patterns;
using DistributedPatterns.Gateway.Problems;
using DistributedPatterns.Gateway.RateLimiting;
using DistributedPatterns.Gateway.Uploads;
using Scalar.AspNetCore;

namespace DistributedPatterns.Gateway;

internal static class GatewayExtensions
{
    /// <summary>Adds the gateway's own parts; needs members (their options at least) and, for the distributed variants, Redis.</summary>
    public static IServiceCollection AddGateway(this IServiceCollection services)
    {
        services.AddOptions<GatewayOptions>().BindConfiguration("Gateway").ValidateDataAnnotations().ValidateOnStart();
        services.AddHttpForwarder().AddSingleton<OwnerFilter>();
        services.AddSingleton<WatcherPlaces>();
        services.AddSingleton<UploadStore>().AddHostedService(provider => provider.GetRequiredService<UploadStore>());
        foreach (var pattern in GatewayPatterns.All) pattern.AddServices(services);

        services.AddEdgeLimit();

        services.AddProblemDetails().AddExceptionHandler<GatewayExceptionHandler>();
        services.ConfigureHttpJsonOptions(json =>
        {
            json.SerializerOptions.TypeInfoResolverChain.Insert(0, GatewayJson.Default);
            foreach (var pattern in GatewayPatterns.All) json.SerializerOptions.TypeInfoResolverChain.Insert(0, pattern.Json);
            json.SerializerOptions.NumberHandling = JsonNumberHandling.Strict;
            json.SerializerOptions.DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull;
        });
        return services.AddOpenApi(options => options.AddDocumentTransformer((document, _, _) =>
        {
            document.Info = new() { Title = "DistributedPatterns", Version = "v1", Description = "Concurrency patterns, each in one process and across processes." };
            return Task.CompletedTask;
        }));
    }

    /// <summary>Maps the API, its description and the pages; every error below it becomes a problem.</summary>
    public static WebApplication MapGateway(this WebApplication app)
    {
        app.UseExceptionHandler();
        app.UseStatusCodePages(context => ProblemResponse.WriteForStatusAsync(context.HttpContext));
        app.UseEdgeLimit();
        foreach (var pattern in GatewayPatterns.All)
        {
            foreach (var variant in PatternRoute.Variants)
                pattern.Map(app.MapGroup($"/api/{pattern.Name}/{variant}").WithTags($"{pattern.Name}, {variant}"), variant, app.Services);
        }
        app.MapGet("/api/patterns", (EndpointDataSource endpoints) => TypedResults.Ok(PatternCatalog.Read(endpoints)))
            .TakesQuery().WithTags("catalog").WithSummary("Lists the patterns, their variants and endpoints.");
        app.MapGet("/", Html.Index).ExcludeFromDescription();
        app.MapGet("/problems", Html.Problems).ExcludeFromDescription();
        app.MapGet("/problems/{slug}", Html.Problem).ExcludeFromDescription();
        app.MapOpenApi();
        // The page comes from here alone: nothing of it asks or tells another host.
        app.MapScalarApiReference(options => options.WithTitle("DistributedPatterns")
            .DisableDefaultFonts().DisableTelemetry().DisableAgent().DisableMcp().HideDeveloperTools());
        return app;
    }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(PatternEntry[]))]
internal sealed partial class GatewayJson : JsonSerializerContext;
