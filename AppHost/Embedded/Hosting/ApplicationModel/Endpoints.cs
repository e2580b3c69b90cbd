using System.Globalization;

namespace Aspire.Hosting.ApplicationModel;

/// <summary>One named endpoint: a public port, and behind it a port of each replica's own, or without a proxy that of the only one.</summary>
public sealed class EndpointAnnotation(string name, string scheme, int? port, string? targetPortVariable, bool isProxied)
{
    public string Name { get; } = name;

    public string UriScheme { get; } = scheme;

    /// <summary>Gets the public port that was asked for; <see langword="null"/> or 0 is any free one.</summary>
    public int? Port { get; } = port;

    /// <summary>Gets the variable that tells a replica its own port; without one an HTTP port arrives in ASPNETCORE_URLS.</summary>
    public string? TargetPortEnvironmentVariable { get; } = targetPortVariable;

    /// <summary>Gets whether a proxy listens on the public port; otherwise the process itself does.</summary>
    public bool IsProxied { get; } = isProxied;

    public bool IsExternal { get; internal set; }

    /// <summary>Gets the public port that is in use, or <see langword="null"/> before the start.</summary>
    internal int? AllocatedPort { get; set; }
}

public enum EndpointProperty
{
    Url,
    Host,
    Port,
    HostAndPort,
}

/// <summary>A reference to an endpoint that may not have its port yet.</summary>
public sealed class EndpointReference : IValueProvider
{
    private readonly Resource _owner;

    internal EndpointReference(Resource owner, string endpointName) => (_owner, EndpointName) = (owner, endpointName);

    public string EndpointName { get; }

    internal Resource Resource => _owner;

    public string Scheme => Annotation.UriScheme;

    public int Port => Annotation.AllocatedPort
        ?? throw new InvalidOperationException($"Endpoint '{EndpointName}' of '{_owner.Name}' has no port before the application starts.");

    public string Url => string.Create(CultureInfo.InvariantCulture, $"{Scheme}://localhost:{Port}");

    private EndpointAnnotation Annotation => _owner.Endpoints.Find(e => e.Name == EndpointName)
        ?? throw new InvalidOperationException($"Resource '{_owner.Name}' has no endpoint '{EndpointName}', only: {Known}.");

    private string Known => string.Join(", ", _owner.Endpoints.Select(e => $"'{e.Name}'"));

    public EndpointReferenceExpression Property(EndpointProperty property) => new(this, property);

    public ValueTask<string?> GetValueAsync(CancellationToken cancellationToken = default) => new(Url);
}

public sealed class EndpointReferenceExpression : IValueProvider
{
    private readonly EndpointReference _endpoint;
    private readonly EndpointProperty _property;

    internal EndpointReferenceExpression(EndpointReference endpoint, EndpointProperty property) =>
        (_endpoint, _property) = (endpoint, property);

    public EndpointReference Endpoint => _endpoint;

    public ValueTask<string?> GetValueAsync(CancellationToken cancellationToken = default) => new(_property switch
    {
        EndpointProperty.Host => "localhost",
        EndpointProperty.Port => _endpoint.Port.ToString(CultureInfo.InvariantCulture),
        EndpointProperty.HostAndPort => string.Create(CultureInfo.InvariantCulture, $"localhost:{_endpoint.Port}"),
        _ => _endpoint.Url,
    });
}
