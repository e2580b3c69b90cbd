using DistributedPatterns.Diagnostics;
using DistributedPatterns.MapReduce;
using DistributedPatterns.Members;
using DistributedPatterns.Payloads;
using DistributedPatterns.SingleFlight;
using DistributedPatterns.SingleFlight.Works;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;
using StackExchange.Redis;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Registers singleflight: the works in every process that calls them, and the variants.</summary>
public static class SingleFlightServiceCollectionExtensions
{
    /// <summary>Registers a work by its name, for both variants.</summary>
    /// <param name="services">Where to.</param>
    /// <param name="name">1 to 64 letters, digits, dots, underscores or hyphens.</param>
    /// <param name="results">How results travel.</param>
    /// <param name="run">Does the work for one input. Thread safe.</param>
    public static IServiceCollection AddFlightWork<TIn, TOut>(
        this IServiceCollection services, string name, IPayloadCodec<TOut> results, Func<TIn, FlightContext, ValueTask<TOut>> run) =>
        services.AddSingleton<FlightDefinition>(new FlightDefinition<TIn, TOut>(name, results, run));

    /// <summary>Registers the works that ship: <c>digest</c> of an input's file, and <c>simulated</c>.</summary>
    public static IServiceCollection AddFlightScenarios(this IServiceCollection services)
    {
        services.TryAddSingleton(TimeProvider.System);
        services.AddPipelineInputs().TryAddSingleton<MapReduceInputs>();
        return services
            .AddSingleton<FlightDefinition>(provider => FileDigest.Create(provider.GetRequiredService<MapReduceInputs>()))
            .AddSingleton<FlightDefinition>(provider => SimulatedFlight.Create(
                provider.GetRequiredService<IOptions<MembersOptions>>().Value.Id is { Length: > 0 } id ? id : "local", provider.GetRequiredService<TimeProvider>()));
    }

    /// <summary>Registers <see cref="ISingleFlight"/> inside the process, under <see cref="Variants.Channel"/>. Settings: <c>Patterns:SingleFlight:Channel</c>.</summary>
    public static IServiceCollection AddTaskSingleFlight(this IServiceCollection services, Action<TaskSingleFlightOptions>? configure = null)
    {
        services.AddSingleFlightOptions("Patterns:SingleFlight:Channel", configure);
        services.TryAddSingleton<TaskSingleFlight>();
        return services.AddKeyedSingleton<ISingleFlight>(Variants.Channel, (provider, _) => provider.GetRequiredService<TaskSingleFlight>());
    }

    /// <summary>Registers <see cref="ISingleFlight"/> over all processes, under <see cref="Variants.Distributed"/>. Settings: <c>Patterns:SingleFlight:Redis</c>.</summary>
    /// <remarks>Needs an <see cref="IConnectionMultiplexer"/>.</remarks>
    public static IServiceCollection AddRedisSingleFlight(this IServiceCollection services, Action<RedisSingleFlightOptions>? configure = null)
    {
        services.AddSingleFlightOptions("Patterns:SingleFlight:Redis", configure)
            .Validate(options => options.PollEvery * 3 <= options.Lease, "Patterns:SingleFlight:Redis: PollEvery may be a third of Lease at most, or one that waits is taken for dead.");
        services.TryAddSingleton<RedisSingleFlight>();
        return services.AddKeyedSingleton<ISingleFlight>(Variants.Distributed, (provider, _) => provider.GetRequiredService<RedisSingleFlight>());
    }

    private static OptionsBuilder<T> AddSingleFlightOptions<T>(this IServiceCollection services, string section, Action<T>? configure) where T : SingleFlightOptions
    {
        services.TryAddSingleton(TimeProvider.System);
        services.TryAddSingleton<FlightCatalog>();
        var options = services.AddOptions<T>().BindConfiguration(section).ValidateDataAnnotations().ValidateOnStart();
        return configure is null ? options : options.Configure(configure);
    }
}
