using Aspire.Hosting.Processes;

namespace DistributedPatterns;

/// <summary>The Redis of this run.</summary>
/// <param name="Connection">What services connect to.</param>
/// <param name="Server">What they wait for, or <see langword="null"/> when somebody else runs the server.</param>
internal sealed record RedisChoice(IResourceBuilder<IResourceWithConnectionString> Connection, IResourceBuilder<IResource>? Server);

internal static class RedisChoiceExtensions
{
    /// <summary>Adds the embedded server, a container, or a connection string, as <see cref="Settings.Redis"/> says.</summary>
    public static RedisChoice AddChosenRedis(this IDistributedApplicationBuilder builder, Settings settings, RunFolder run)
    {
        switch (settings.Redis)
        {
            case null:
                return builder.AddEmbeddedRedis(settings, run);
            case "container":
                var container = builder.AddRedis("redis");
                return new(container, container);
            default:
                builder.Configuration["ConnectionStrings:redis"] = settings.Redis;
                return new(builder.AddConnectionString("redis"), null);
        }
    }

    /// <summary>Gives a service its Redis, and lets it start only once that is healthy.</summary>
    public static IResourceBuilder<ProjectResource> WithRedis(this IResourceBuilder<ProjectResource> service, RedisChoice redis)
    {
        service.WithReference(redis.Connection);
        return redis.Server is null ? service : service.WaitFor(redis.Server);
    }

    /// <summary>Adds an endpoint for gRPC alone: without TLS one port cannot serve both HTTP/1.1 and HTTP/2.</summary>
    public static IResourceBuilder<ProjectResource> WithGrpc(this IResourceBuilder<ProjectResource> service) =>
        service.WithHttpEndpoint(name: "grpc", env: "GRPC_PORT");

    private static RedisChoice AddEmbeddedRedis(this IDistributedApplicationBuilder builder, Settings settings, RunFolder run)
    {
        var password = builder.AddParameter(
            "redis-password", new GenerateParameterDefault { MinLength = 22, Special = false }, secret: true, persist: false);
        var server = builder.AddProject<Projects.RedisServer>("redis-server", project => project.ExcludeLaunchProfile = true)
            // Without a proxy: each step of most patterns crosses this connection, and there is one server only.
            .WithEndpoint(port: Ports.Free(), name: "redis", scheme: "tcp", env: "REDIS_PORT", isProxied: false)
            .WithHttpEndpoint(name: "http")
            .WithHttpHealthCheck("/health", endpointName: "http")
            .WithEnvironment("ASPNETCORE_ENVIRONMENT", builder.Environment.EnvironmentName)
            .WithEnvironment("REDIS_PASSWORD", password)
            .WithEnvironment("Redis__DataPath", run.RedisData)
            .WithEnvironment("Redis__Persist", settings.PersistRedis ? "true" : "false");
        var endpoint = server.GetEndpoint("redis");
        var connection = builder.AddConnectionString(
            "redis", ReferenceExpression.Create($"127.0.0.1:{endpoint.Property(EndpointProperty.Port)},password={password}"));
        return new(connection, server);
    }
}
