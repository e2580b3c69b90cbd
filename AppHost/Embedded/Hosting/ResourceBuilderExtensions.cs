using Aspire.Hosting.ApplicationModel;
using Aspire.Hosting.Processes;

namespace Aspire.Hosting;

public static class ProjectResourceBuilderExtensions
{
    /// <summary>Adds a service project. Its endpoints are those that the model names: this host reads no launch profile.</summary>
    public static IResourceBuilder<ProjectResource> AddProject<TProject>(
        this IDistributedApplicationBuilder builder, string name, Action<ProjectResourceOptions> configure)
        where TProject : IProjectMetadata, new()
    {
        var options = new ProjectResourceOptions();
        configure(options);
        return options.ExcludeLaunchProfile
            ? builder.AddResource(new ProjectResource(name, new TProject()))
            : throw new NotSupportedException($"Project '{name}' asks for its launch profile, which the embedded host does not read. Set ExcludeLaunchProfile.");
    }

    public static IResourceBuilder<ProjectResource> WithReplicas(this IResourceBuilder<ProjectResource> builder, int replicas)
    {
        builder.Resource.Replicas = replicas;
        return builder;
    }
}

public static class ResourceBuilderExtensions
{
    /// <summary>Gives a connection string, and its parts where the resource knows them, to the environment.</summary>
    public static IResourceBuilder<T> WithReference<T>(this IResourceBuilder<T> builder, IResourceBuilder<IResourceWithConnectionString> source)
        where T : IResourceWithEnvironment
    {
        var resource = builder.Of();
        resource.References.Add(source.Resource);
        resource.Environment.Add((environment, token) => References.AddConnectionAsync(environment, source.Resource, token));
        return builder;
    }

    /// <summary>Gives the addresses of another service's endpoints to the environment.</summary>
    public static IResourceBuilder<T> WithReference<T>(this IResourceBuilder<T> builder, IResourceBuilder<IResourceWithServiceDiscovery> source)
        where T : IResourceWithEnvironment
    {
        var resource = builder.Of();
        resource.References.Add(source.Resource);
        resource.Environment.Add((environment, _) => References.AddEndpoints(environment, (Resource)source.Resource));
        return builder;
    }

    public static IResourceBuilder<T> WithEnvironment<T>(this IResourceBuilder<T> builder, string name, string? value)
        where T : IResourceWithEnvironment
    {
        builder.Of().Environment.Add((environment, _) =>
        {
            environment[name] = value ?? "";
            return ValueTask.CompletedTask;
        });
        return builder;
    }

    public static IResourceBuilder<T> WithEnvironment<T>(this IResourceBuilder<T> builder, string name, IResourceBuilder<ParameterResource> parameter)
        where T : IResourceWithEnvironment
    {
        builder.Of().Environment.Add(async (environment, token) =>
            environment[name] = await parameter.Resource.GetValueAsync(token) ?? "");
        return builder;
    }

    /// <summary>Starts a resource only when every replica of another one is healthy.</summary>
    public static IResourceBuilder<T> WaitFor<T>(this IResourceBuilder<T> builder, IResourceBuilder<IResource> dependency)
        where T : IResourceWithWaitSupport
    {
        builder.Of().WaitsFor.Add(dependency.Resource);
        return builder;
    }

    public static IResourceBuilder<T> WithEndpoint<T>(
        this IResourceBuilder<T> builder, int? port = null, string? scheme = null, string? name = null, string? env = null, bool isProxied = true)
        where T : IResourceWithEndpoints
    {
        builder.Of().Endpoints.Add(new(name ?? scheme ?? "tcp", scheme ?? "tcp", port, env, isProxied));
        return builder;
    }

    public static IResourceBuilder<T> WithHttpEndpoint<T>(
        this IResourceBuilder<T> builder, int? port = null, string? name = null, string? env = null)
        where T : IResourceWithEndpoints =>
        builder.WithEndpoint(port, "http", name ?? "http", env);

    /// <summary>Marks the HTTP endpoints as meant for people. Every endpoint stays on the loopback address all the same.</summary>
    public static IResourceBuilder<T> WithExternalHttpEndpoints<T>(this IResourceBuilder<T> builder) where T : IResourceWithEndpoints
    {
        foreach (var endpoint in builder.Of().Endpoints.Where(e => e.UriScheme == "http"))
        {
            endpoint.IsExternal = true;
        }

        return builder;
    }

    public static IResourceBuilder<T> WithHttpHealthCheck<T>(
        this IResourceBuilder<T> builder, string? path = null, int? statusCode = null, string? endpointName = null)
        where T : IResourceWithEndpoints
    {
        var resource = builder.Of();
        var (checkedPath, status, endpoint) = (path ?? "/", statusCode ?? 200, endpointName ?? "http");
        resource.HealthChecks.Add(new($"{resource.Name}_{endpoint}_{checkedPath}_{status}_check", endpoint, checkedPath, status));
        return builder;
    }

    public static EndpointReference GetEndpoint<T>(this IResourceBuilder<T> builder, string name) where T : IResourceWithEndpoints =>
        new(builder.Of(), name);

    internal static Resource Of<T>(this IResourceBuilder<T> builder) where T : IResource => (Resource)(object)builder.Resource;
}
