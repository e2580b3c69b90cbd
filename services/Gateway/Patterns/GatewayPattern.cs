using System.Text.Json.Serialization.Metadata;
using DistributedPatterns.Gateway.Problems;

namespace DistributedPatterns.Gateway.Patterns;

/// <summary>What one pattern adds to the gateway: its services, its endpoints in both variants, and what its exceptions mean in HTTP.</summary>
internal abstract class GatewayPattern
{
    /// <summary>Gets the name in routes, in kebab case: <c>fan-out-fan-in</c>.</summary>
    public abstract string Name { get; }

    public abstract string Title { get; }

    /// <summary>Gets the question that the pattern answers.</summary>
    public abstract string Question { get; }

    /// <summary>Gets where in the repository its article is.</summary>
    public abstract string Article { get; }

    /// <summary>Gets how its replies are written.</summary>
    public abstract IJsonTypeInfoResolver Json { get; }

    /// <summary>Gets requests that show it, as <c>curl</c> arguments, for the index page; <c>{here}</c> stands for the gateway.</summary>
    public abstract IReadOnlyList<string> Examples { get; }

    public abstract void AddServices(IServiceCollection services);

    /// <summary>Maps the endpoints of one variant.</summary>
    /// <param name="group">What begins with <c>/api/{name}/{variant}</c>; the variant is a literal, so that telemetry tells the two apart.</param>
    public abstract void Map(RouteGroupBuilder group, string variant, IServiceProvider services);

    /// <summary>Says which problem an exception of this pattern is, or <see langword="null"/> when it is not one of its own.</summary>
    public virtual Problem? Describe(Exception exception) => null;
}
