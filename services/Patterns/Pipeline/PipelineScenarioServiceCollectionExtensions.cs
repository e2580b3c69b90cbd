using DistributedPatterns.Pipeline;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Registers the pipelines that ship.</summary>
public static class PipelineScenarioServiceCollectionExtensions
{
    /// <summary>Registers the pipelines <c>unicode</c> and <c>echo</c> and the inputs they read. Settings: <c>Data</c>.</summary>
    public static IServiceCollection AddPipelineScenarios(this IServiceCollection services, Action<PipelineInputOptions>? configure = null) =>
        services.AddPipelineInputs(configure)
            .AddPipeline(provider => UnicodePipeline.Create(provider.GetRequiredService<PipelineInputs>()))
            .AddPipeline(_ => EchoPipeline.Create());

    /// <summary>Registers the inputs alone, for other patterns that read them. Settings: <c>Data</c>.</summary>
    public static IServiceCollection AddPipelineInputs(this IServiceCollection services, Action<PipelineInputOptions>? configure = null)
    {
        var options = services.AddOptions<PipelineInputOptions>().BindConfiguration("Data").ValidateDataAnnotations().ValidateOnStart();
        if (configure is not null) options.Configure(configure);
        services.TryAddSingleton<PipelineInputs>();
        return services;
    }
}
