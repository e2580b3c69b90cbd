using DistributedPatterns.Deadlines;
using DistributedPatterns.Diagnostics;
using DistributedPatterns.Payloads;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Registers deadlines: the operations in every process, the variants where they are called, the service where they run.</summary>
public static class DeadlinesServiceCollectionExtensions
{
    /// <summary>Registers an operation by its name, for both variants.</summary>
    /// <param name="services">The service's registrations.</param>
    /// <param name="name">1 to 64 characters.</param>
    /// <param name="role">The service whose members run it, for example <c>worker</c>.</param>
    /// <param name="inputs">How inputs travel.</param>
    /// <param name="outputs">How answers travel.</param>
    /// <param name="run">Answers one call. Thread safe.</param>
    public static IServiceCollection AddOperation<TIn, TOut>(
        this IServiceCollection services, string name, string role, IPayloadCodec<TIn> inputs, IPayloadCodec<TOut> outputs, Func<TIn, OperationContext, ValueTask<TOut>> run) =>
        services.AddSingleton<OperationDefinition>(new OperationDefinition<TIn, TOut>(name, role, inputs, outputs, run));

    /// <summary>Registers the operations that ship: <c>hop-1</c> to <c>hop-3</c>.</summary>
    public static IServiceCollection AddDeadlineScenarios(this IServiceCollection services)
    {
        services.TryAddSingleton(TimeProvider.System);
        foreach (var hop in Enumerable.Range(0, HopOperations.Count))
            services.AddSingleton(provider => HopOperations.Create(provider.GetRequiredService<TimeProvider>()).ElementAt(hop));
        return services;
    }

    /// <summary>Registers <see cref="DeadlineRunner"/>. Settings: <c>Patterns:Deadlines</c>.</summary>
    public static IServiceCollection AddDeadlines(this IServiceCollection services, Action<DeadlineOptions>? configure = null)
    {
        var options = services.AddOptions<DeadlineOptions>().BindConfiguration("Patterns:Deadlines").ValidateDataAnnotations().ValidateOnStart();
        if (configure is not null) options.Configure(configure);
        services.TryAddSingleton(TimeProvider.System);
        services.TryAddSingleton<OperationCatalog>();
        services.TryAddSingleton<DeadlineRunner>();
        return services;
    }

    /// <summary>Registers <see cref="IBudgetedCalls"/> inside the process, under <see cref="Variants.Channel"/>.</summary>
    public static IServiceCollection AddTaskBudgetedCalls(this IServiceCollection services, Action<DeadlineOptions>? configure = null)
    {
        services.AddDeadlines(configure).TryAddSingleton<TaskBudgetedCalls>();
        return services.AddKeyedSingleton<IBudgetedCalls>(Variants.Channel, (provider, _) => provider.GetRequiredService<TaskBudgetedCalls>());
    }

    /// <summary>Registers <see cref="IBudgetedCalls"/> across processes, under <see cref="Variants.Distributed"/>; needs members.</summary>
    public static IServiceCollection AddGrpcBudgetedCalls(this IServiceCollection services, Action<DeadlineOptions>? configure = null)
    {
        services.AddDeadlines(configure).TryAddSingleton<GrpcBudgetedCalls>();
        return services.AddKeyedSingleton<IBudgetedCalls>(Variants.Distributed, (provider, _) => provider.GetRequiredService<GrpcBudgetedCalls>());
    }

    /// <summary>Lets this process run operations for others, once <see cref="MapOperations"/> has mapped its service. Operations go on across processes.</summary>
    public static IServiceCollection AddOperations(this IServiceCollection services, Action<DeadlineOptions>? configure = null)
    {
        services.AddGrpcBudgetedCalls(configure).AddGrpc().AddServiceOptions<OperationsService>(grpc => grpc.Interceptors.Add<DeadlineServerInterceptor>());
        services.TryAddSingleton<OperationsServer>();
        return services.AddHostedService(provider => provider.GetRequiredService<OperationsServer>());
    }

    /// <summary>Maps the gRPC service that runs operations.</summary>
    public static IEndpointRouteBuilder MapOperations(this IEndpointRouteBuilder endpoints)
    {
        endpoints.MapGrpcService<OperationsService>();
        return endpoints;
    }
}
