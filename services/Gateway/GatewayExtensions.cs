using DistributedPatterns.Gateway.Pages;
using DistributedPatterns.Gateway.Pipelines;
using DistributedPatterns.Gateway.Problems;
using DistributedPatterns.Gateway.Uploads;
using DistributedPatterns.Members;
using DistributedPatterns.Pipeline;
using Microsoft.Extensions.Options;
using Scalar.AspNetCore;

namespace DistributedPatterns.Gateway;

internal static class GatewayExtensions
{
    /// <summary>Adds the gateway's own parts; needs members (their options at least) and, for the distributed variants, Redis.</summary>
    public static IServiceCollection AddGateway(this IServiceCollection services)
    {
        services.AddOptions<GatewayOptions>().BindConfiguration("Gateway").ValidateDataAnnotations().ValidateOnStart();
        services.AddPipelineScenarios().AddChannelPipeline().AddGrpcPipeline();
        // The id says which gateway has a run, whether or not Redis knows this gateway yet.
        services.AddOptions<ChannelPipelineOptions>().Configure<IOptions<MembersOptions>>((channel, self) => channel.IdPrefix = self.Value.Id + ".");
        services.AddHttpForwarder();
        services.AddSingleton<RunOwner>().AddSingleton<RunWatchers>().AddSingleton<RunRequests>();
        services.AddSingleton<UploadStore>().AddHostedService(provider => provider.GetRequiredService<UploadStore>());
        foreach (var variant in PatternRoute.Variants)
            services.AddKeyedSingleton(variant, (provider, _) => ActivatorUtilities.CreateInstance<PipelineRuns>(provider, variant));

        services.AddProblemDetails().AddExceptionHandler<GatewayExceptionHandler>();
        services.ConfigureHttpJsonOptions(json => json.SerializerOptions.TypeInfoResolverChain.Insert(0, GatewayJson.Default));
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
        app.MapPipelines();
        app.MapGet("/api/patterns", (EndpointDataSource endpoints) => TypedResults.Ok(PatternCatalog.Read(endpoints)))
            .TakesQuery().WithTags("catalog").WithSummary("Lists the patterns, their variants and endpoints.");
        app.MapGet("/", Html.Index).ExcludeFromDescription();
        app.MapGet("/problems", Html.Problems).ExcludeFromDescription();
        app.MapGet("/problems/{slug}", Html.Problem).ExcludeFromDescription();
        app.MapOpenApi();
        app.MapScalarApiReference(options => options.WithTitle("DistributedPatterns").DisableDefaultFonts());
        return app;
    }
}
