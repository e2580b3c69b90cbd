namespace Aspire.Hosting.ApplicationModel;

public interface IResource
{
    string Name { get; }
}

public interface IResourceWithEnvironment : IResource;

public interface IResourceWithEndpoints : IResource;

public interface IResourceWithWaitSupport : IResource;

public interface IResourceWithConnectionString : IResource, IValueProvider
{
    ReferenceExpression ConnectionStringExpression { get; }
}

public interface IResourceBuilder<out T> where T : IResource
{
    IDistributedApplicationBuilder ApplicationBuilder { get; }

    T Resource { get; }
}

internal sealed record ResourceBuilder<T>(IDistributedApplicationBuilder ApplicationBuilder, T Resource) : IResourceBuilder<T>
    where T : IResource;

/// <summary>What the model holds about a resource. Aspire keeps the same in annotations; nothing here needs their openness.</summary>
public abstract class Resource(string name) : IResource
{
    public string Name { get; } = name;

    internal abstract string ResourceType { get; }

    internal List<EndpointAnnotation> Endpoints { get; } = [];

    /// <summary>Gets what fills a replica's environment, in the order of the calls that asked for it.</summary>
    internal List<Func<IDictionary<string, string>, CancellationToken, ValueTask>> Environment { get; } = [];

    internal List<HealthCheckAnnotation> HealthChecks { get; } = [];

    internal List<IResource> WaitsFor { get; } = [];

    internal List<IResource> References { get; } = [];

    internal int Replicas { get; set; } = 1;

    /// <summary>Gets or sets whether any replica has been healthy in this run.</summary>
    internal bool HasBeenHealthy { get; set; }

    internal bool IsProcess => this is ProjectResource or RedisResource;
}

/// <summary>A health check: an HTTP path of an endpoint, or, without a path, Redis' PING.</summary>
internal sealed record HealthCheckAnnotation(string Key, string EndpointName, string? Path = null, int StatusCode = 200);

public class ProjectResource : Resource,
    IResourceWithEnvironment, IResourceWithEndpoints, IResourceWithWaitSupport, IResourceWithServiceDiscovery
{
    internal ProjectResource(string name, IProjectMetadata project) : base(name) => Project = project;

    internal override string ResourceType => "Project";

    internal IProjectMetadata Project { get; }
}

/// <summary>Redis as a child process from the PATH; with Aspire it is a container.</summary>
public class RedisResource(string name, ParameterResource password) : Resource(name),
    IResourceWithEndpoints, IResourceWithWaitSupport, IResourceWithConnectionString
{
    internal override string ResourceType => "Executable";

    public ParameterResource PasswordParameter { get; } = password;

    public EndpointReference PrimaryEndpoint => new(this, "tcp");

    public ReferenceExpression ConnectionStringExpression =>
        ReferenceExpression.Create($"{PrimaryEndpoint.Property(EndpointProperty.HostAndPort)},password={PasswordParameter}");

    public ReferenceExpression UriExpression =>
        ReferenceExpression.Create($"redis://:{PasswordParameter}@{PrimaryEndpoint.Property(EndpointProperty.HostAndPort)}");

    public ValueTask<string?> GetValueAsync(CancellationToken cancellationToken = default) =>
        ConnectionStringExpression.GetValueAsync(cancellationToken);
}

public class ConnectionStringResource(string name, ReferenceExpression expression) : Resource(name),
    IResourceWithConnectionString, IResourceWithWaitSupport
{
    internal override string ResourceType => "ConnectionString";

    public ReferenceExpression ConnectionStringExpression { get; } = expression;

    public ValueTask<string?> GetValueAsync(CancellationToken cancellationToken = default) =>
        ConnectionStringExpression.GetValueAsync(cancellationToken);
}

public class ParameterResource(string name, string value, bool secret = false) : Resource(name), IValueProvider
{
    public bool Secret { get; } = secret;

    internal override string ResourceType => "Parameter";

    public ValueTask<string?> GetValueAsync(CancellationToken cancellationToken = default) => new(value);
}
