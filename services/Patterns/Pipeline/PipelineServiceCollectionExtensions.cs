using DistributedPatterns.Diagnostics;
using DistributedPatterns.Pipeline;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Registers pipelines: the definitions in every process, the variants and parts where they run.</summary>
public static class PipelineServiceCollectionExtensions
{
    /// <summary>Registers a pipeline by its name, for both variants.</summary>
    public static IServiceCollection AddPipeline<TResult>(this IServiceCollection services, Func<IServiceProvider, PipelineDefinition<TResult>> define)
    {
        services.TryAddSingleton(TimeProvider.System);
        services.TryAddSingleton<PipelineCatalog>();
        services.AddSingleton<PipelineDefinition<TResult>>(define);
        return services.AddSingleton<PipelineDefinition>(define);
    }

    /// <summary>Registers <see cref="IPipeline"/> inside the process, under <see cref="Variants.Channel"/>. Settings: <c>Patterns:Pipeline:Channel</c>.</summary>
    public static IServiceCollection AddChannelPipeline(this IServiceCollection services, Action<ChannelPipelineOptions>? configure = null)
    {
        var options = services.AddOptions<ChannelPipelineOptions>()
            .BindConfiguration("Patterns:Pipeline:Channel").ValidateDataAnnotations().ValidateOnStart();
        if (configure is not null) options.Configure(configure);
        services.TryAddSingleton(TimeProvider.System);
        services.TryAddSingleton<PipelineCatalog>();
        services.TryAddSingleton<ChannelPipeline>();
        return services.AddKeyedSingleton<IPipeline>(Variants.Channel, (provider, _) => provider.GetRequiredService<ChannelPipeline>());
    }

    /// <summary>Registers <see cref="IPipeline"/> across processes, under <see cref="Variants.Distributed"/>: it starts and watches runs. Settings: <c>Patterns:Pipeline:Grpc</c>.</summary>
    public static IServiceCollection AddGrpcPipeline(this IServiceCollection services, Action<GrpcPipelineOptions>? configure = null)
    {
        AddGrpcOptions(services, configure);
        services.TryAddSingleton<GrpcPipeline>();
        return services.AddKeyedSingleton<IPipeline>(Variants.Distributed, (provider, _) => provider.GetRequiredService<GrpcPipeline>());
    }

    /// <summary>Makes this process a producer: it takes runs that nobody drives, reads their inputs and spreads the chunks over the workers.</summary>
    public static IServiceCollection AddPipelineProducer(this IServiceCollection services, Action<GrpcPipelineOptions>? configure = null)
    {
        AddGrpcOptions(services, configure);
        return services.AddHostedService<PipelineProducer>();
    }

    /// <summary>Makes this process a worker, once <see cref="MapPipelineWorker"/> has mapped its service.</summary>
    public static IServiceCollection AddPipelineWorker(this IServiceCollection services)
    {
        AddGrpcServices(services);
        return services;
    }

    /// <summary>Makes this process a reducer, once <see cref="MapPipelineReducer"/> has mapped its service.</summary>
    public static IServiceCollection AddPipelineReducer(this IServiceCollection services)
    {
        AddGrpcServices(services);
        services.TryAddSingleton<SinkSessions>();
        return services;
    }

    /// <summary>Maps the gRPC service that runs a pipeline's stages.</summary>
    public static IEndpointRouteBuilder MapPipelineWorker(this IEndpointRouteBuilder endpoints)
    {
        endpoints.MapGrpcService<PipelineWorkerService>();
        return endpoints;
    }

    /// <summary>Maps the gRPC service that holds a pipeline's sink.</summary>
    public static IEndpointRouteBuilder MapPipelineReducer(this IEndpointRouteBuilder endpoints)
    {
        endpoints.MapGrpcService<PipelineReducerService>();
        return endpoints;
    }

    private static void AddGrpcServices(IServiceCollection services)
    {
        services.AddGrpc(options => options.MaxReceiveMessageSize = PipelineMessages.MaxMessageBytes);
        services.TryAddSingleton(TimeProvider.System);
        services.TryAddSingleton<PipelineCatalog>();
    }

    private static void AddGrpcOptions(IServiceCollection services, Action<GrpcPipelineOptions>? configure)
    {
        var options = services.AddOptions<GrpcPipelineOptions>()
            .BindConfiguration("Patterns:Pipeline:Grpc").ValidateDataAnnotations().ValidateOnStart();
        if (configure is not null) options.Configure(configure);
        services.TryAddSingleton(TimeProvider.System);
        services.TryAddSingleton<PipelineCatalog>();
    }
}
