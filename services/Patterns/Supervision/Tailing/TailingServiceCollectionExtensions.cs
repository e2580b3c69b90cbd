using DistributedPatterns.Supervision;
using DistributedPatterns.Supervision.Tailing;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Registers the scenario of supervision.</summary>
public static class TailingServiceCollectionExtensions
{
    /// <summary>Registers the children <c>feed</c>, <c>lines</c>, <c>words</c> and <c>checksum</c>, and the inputs that they read. Settings: <c>Patterns:Supervision:Tailing</c>.</summary>
    public static IServiceCollection AddTailingChildren(this IServiceCollection services, Action<TailOptions>? configure = null)
    {
        var options = services.AddPipelineInputs().AddOptions<TailOptions>()
            .BindConfiguration("Patterns:Supervision:Tailing").ValidateDataAnnotations()
            .Validate(tail => tail.GrowEvery * 2 <= tail.HeartbeatLimit, "Patterns:Supervision:Tailing: HeartbeatLimit must be at least twice GrowEvery, or children that wait seem hung.")
            .ValidateOnStart();
        if (configure is not null) options.Configure(configure);
        services.TryAddSingleton(TimeProvider.System);
        services.TryAddSingleton<TailChildren>();
        // The limit of a heartbeat is a setting, so the definitions are made when settings are there.
        return services
            .AddSingleton(provider => Define(provider, TailChildren.Feed, children => children.FeedAsync, ChildRestart.Permanent))
            .AddSingleton(provider => Define(provider, TailChildren.Lines, children => children.Tail(TailCount.Lines), ChildRestart.Permanent))
            .AddSingleton(provider => Define(provider, TailChildren.Words, children => children.Tail(TailCount.Words), ChildRestart.Permanent))
            .AddSingleton(provider => Define(provider, TailChildren.Checksum, children => children.Tail(TailCount.Checksum), ChildRestart.Transient));
    }

    private static ChildDefinition Define(IServiceProvider provider, string name, Func<TailChildren, ChildBody> body, ChildRestart restart) => new(
        name, body(provider.GetRequiredService<TailChildren>()),
        new ChildOptions { Restart = restart, HeartbeatLimit = provider.GetRequiredService<Options.IOptions<TailOptions>>().Value.HeartbeatLimit });
}
