using DistributedPatterns.Diagnostics;
using DistributedPatterns.FanOutFanIn;
using DistributedPatterns.Payloads;
using DistributedPatterns.Pipeline;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Registers fan-out/fan-in: the branches in every process, the variants where they are called, the service where branches run.</summary>
public static class FanOutFanInServiceCollectionExtensions
{
    /// <summary>Registers a branch by its name, for both variants.</summary>
    /// <param name="services">The service's registrations.</param>
    /// <param name="name">1 to 64 characters.</param>
    /// <param name="inputs">How inputs travel.</param>
    /// <param name="outputs">How answers travel.</param>
    /// <param name="run">Answers one input. Thread safe; called for many items at a time. Should end soon when its token is cancelled.</param>
    public static IServiceCollection AddBranch<TIn, TOut>(
        this IServiceCollection services, string name, IPayloadCodec<TIn> inputs, IPayloadCodec<TOut> outputs, Func<TIn, CancellationToken, ValueTask<TOut>> run) =>
        services.AddBranch(_ => new BranchDefinition<TIn, TOut>(name, inputs, outputs, run));

    /// <summary>Registers a branch whose code needs services.</summary>
    public static IServiceCollection AddBranch<TIn, TOut>(this IServiceCollection services, Func<IServiceProvider, BranchDefinition<TIn, TOut>> define)
    {
        services.TryAddSingleton(TimeProvider.System);
        services.TryAddSingleton<BranchCatalog>();
        return services.AddSingleton<BranchDefinition>(define);
    }

    /// <summary>Registers the branches that ship, <c>scan</c> and <c>work</c>, and the inputs they read. Settings: <c>Data</c>.</summary>
    public static IServiceCollection AddFanOutFanInScenarios(this IServiceCollection services, Action<PipelineInputOptions>? configure = null)
    {
        var options = services.AddOptions<PipelineInputOptions>().BindConfiguration("Data").ValidateDataAnnotations().ValidateOnStart();
        if (configure is not null) options.Configure(configure);
        services.TryAddSingleton<PipelineInputs>();
        return services
            .AddBranch(provider => FileScan.Create(provider.GetRequiredService<PipelineInputs>()))
            .AddBranch(provider => WorkBranch.Create(provider.GetRequiredService<TimeProvider>()));
    }

    /// <summary>Registers <see cref="IScatterGather"/> inside the process, under <see cref="Variants.Channel"/>. Settings: <c>Patterns:FanOutFanIn:Channel</c>.</summary>
    public static IServiceCollection AddChannelScatterGather(this IServiceCollection services, Action<ChannelScatterGatherOptions>? configure = null)
    {
        var options = services.AddOptions<ChannelScatterGatherOptions>()
            .BindConfiguration("Patterns:FanOutFanIn:Channel").ValidateDataAnnotations().ValidateOnStart();
        if (configure is not null) options.Configure(configure);
        services.TryAddSingleton(TimeProvider.System);
        services.TryAddSingleton<BranchCatalog>();
        services.TryAddSingleton<ChannelScatterGather>();
        return services.AddKeyedSingleton<IScatterGather>(Variants.Channel, (provider, _) => provider.GetRequiredService<ChannelScatterGather>());
    }

    /// <summary>Registers <see cref="IScatterGather"/> across processes, under <see cref="Variants.Distributed"/>; needs members. Settings: <c>Patterns:FanOutFanIn:Grpc</c>.</summary>
    public static IServiceCollection AddGrpcScatterGather(this IServiceCollection services, Action<GrpcScatterGatherOptions>? configure = null)
    {
        AddGrpcOptions(services, configure);
        services.TryAddSingleton<GrpcScatterGather>();
        return services.AddKeyedSingleton<IScatterGather>(Variants.Distributed, (provider, _) => provider.GetRequiredService<GrpcScatterGather>());
    }

    /// <summary>Makes this process a worker that runs branches for others, once <see cref="MapFanOutWorker"/> has mapped its service.</summary>
    public static IServiceCollection AddFanOutWorker(this IServiceCollection services, Action<GrpcScatterGatherOptions>? configure = null)
    {
        AddGrpcOptions(services, configure);
        services.AddGrpc();
        services.TryAddSingleton<FanOutWorkerHost>();
        return services;
    }

    /// <summary>Maps the gRPC service that runs branches.</summary>
    public static IEndpointRouteBuilder MapFanOutWorker(this IEndpointRouteBuilder endpoints)
    {
        endpoints.MapGrpcService<FanOutWorkerService>();
        return endpoints;
    }

    private static void AddGrpcOptions(IServiceCollection services, Action<GrpcScatterGatherOptions>? configure)
    {
        var options = services.AddOptions<GrpcScatterGatherOptions>()
            .BindConfiguration("Patterns:FanOutFanIn:Grpc").ValidateDataAnnotations().ValidateOnStart();
        if (configure is not null) options.Configure(configure);
        services.TryAddSingleton(TimeProvider.System);
        services.TryAddSingleton<BranchCatalog>();
    }
}
