using Aspire.Hosting.ApplicationModel;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace Aspire.Hosting.Testing;

public interface IDistributedApplicationTestingBuilder : IDistributedApplicationBuilder, IAsyncDisposable
{
    Task<DistributedApplication> BuildAsync(CancellationToken cancellationToken = default);
}

/// <summary>Runs an AppHost's own program inside a test, on free ports.</summary>
public static class DistributedApplicationTestingBuilder
{
    /// <summary>Runs the AppHost that <typeparamref name="TEntryPoint"/>, one of its <c>Projects</c> classes, belongs to, up to its call of <c>Build</c>.</summary>
    public static async Task<IDistributedApplicationTestingBuilder> CreateAsync<TEntryPoint>(
        string[] args, CancellationToken cancellationToken = default)
        where TEntryPoint : class
    {
        var (invocation, builder) = await AppHostInvocation.StartAsync(typeof(TEntryPoint).Assembly, args, cancellationToken);
        return new Builder(invocation, builder);
    }

    private sealed class Builder(AppHostInvocation invocation, DistributedApplicationBuilder builder) : IDistributedApplicationTestingBuilder
    {
        private DistributedApplication? _application;

        public ConfigurationManager Configuration => builder.Configuration;

        public string AppHostDirectory => builder.AppHostDirectory;

        public IHostEnvironment Environment => builder.Environment;

        public IServiceCollection Services => builder.Services;

        public IResourceBuilder<T> AddResource<T>(T resource) where T : IResource => builder.AddResource(resource);

        public DistributedApplication Build() => BuildAsync().GetAwaiter().GetResult();

        public async Task<DistributedApplication> BuildAsync(CancellationToken cancellationToken = default) =>
            _application = await invocation.BuildAsync(cancellationToken);

        public async ValueTask DisposeAsync()
        {
            if (_application is not null)
            {
                await _application.DisposeAsync();
            }
            else
            {
                await invocation.FinishAsync();
            }
        }
    }
}

public static class DistributedApplicationHostingTestingExtensions
{
    /// <summary>Makes a client of a resource's public endpoint. A new connection may reach another replica, a kept one does not.</summary>
    public static HttpClient CreateHttpClient(this DistributedApplication app, string resourceName, string? endpointName = default) =>
        new() { BaseAddress = app.GetEndpoint(resourceName, endpointName) };

    public static Uri GetEndpoint(this DistributedApplication app, string resourceName, string? endpointName = default) =>
        new(new EndpointReference(Find(app, resourceName), endpointName ?? "http").Url);

    public static ValueTask<string?> GetConnectionStringAsync(
        this DistributedApplication app, string resourceName, CancellationToken cancellationToken = default) =>
        Find(app, resourceName) is IResourceWithConnectionString resource
            ? resource.GetValueAsync(cancellationToken)
            : throw new ArgumentException($"Resource '{resourceName}' has no connection string.", nameof(resourceName));

    private static Resource Find(DistributedApplication app, string resourceName) =>
        app.Services.GetRequiredService<Processes.Model>().Resources.FirstOrDefault(r => r.Name == resourceName)
        ?? throw new ArgumentException($"There is no resource '{resourceName}'.", nameof(resourceName));
}
