using Aspire.Hosting.Processes;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Hosting.Internal;

namespace DistributedPatterns.Tests;

/// <summary>A service must not notice which host started it: names and values are Aspire's.</summary>
public sealed class EnvironmentTests
{
    private readonly IDistributedApplicationBuilder _builder = DistributedApplication.CreateBuilder([]);

    [Fact]
    public async Task Build_Development_HasAspiresVariables()
    {
        var service = Service("webfrontend").WithHttpEndpoint(name: "grpc", env: "GRPC_PORT");

        var environment = await BuildAsync(service, Environments.Development);

        var expected = new Dictionary<string, string>
        {
            ["OTEL_SERVICE_NAME"] = "webfrontend",
            ["OTEL_RESOURCE_ATTRIBUTES"] = "service.instance.id=ttdbggxs",
            ["OTEL_BLRP_SCHEDULE_DELAY"] = "1000",
            ["OTEL_BSP_SCHEDULE_DELAY"] = "1000",
            ["OTEL_METRIC_EXPORT_INTERVAL"] = "1000",
            ["OTEL_TRACES_SAMPLER"] = "always_on",
            ["OTEL_METRICS_EXEMPLAR_FILTER"] = "trace_based",
            ["OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"] = "true",
            ["OTEL_DOTNET_EXPERIMENTAL_OTLP_RETRY"] = "in_memory",
            ["OTEL_DOTNET_EXPERIMENTAL_ASPNETCORE_DISABLE_URL_QUERY_REDACTION"] = "true",
            ["OTEL_DOTNET_EXPERIMENTAL_HTTPCLIENT_DISABLE_URL_QUERY_REDACTION"] = "true",
            ["DOTNET_SYSTEM_CONSOLE_ALLOW_ANSI_COLOR_REDIRECTION"] = "true",
            ["LOGGING__CONSOLE__FORMATTERNAME"] = "simple",
            ["ASPNETCORE_URLS"] = "http://localhost:20001",
            ["GRPC_PORT"] = "20002",
            ["DISTRIBUTEDPATTERNS_HOST"] = "embedded",
        };
        Assert.All(expected, pair => Assert.Equal(pair.Value, environment.GetValueOrDefault(pair.Key)));
        Assert.Equal(expected.Keys.Where(k => k.StartsWith("OTEL_", StringComparison.Ordinal)).Order(), Otel(environment));
    }

    [Fact]
    public async Task Build_Production_LeavesTheSixOut()
    {
        var environment = await BuildAsync(Service("webfrontend"), Environments.Production);

        Assert.Equal(5, Otel(environment).Count());
    }

    [Fact]
    public async Task Build_Inherits_ButNotWhatIsMeantForTheAppHost()
    {
        var environment = await BuildAsync(Service("webfrontend"), Environments.Production);

        Assert.Equal(System.Environment.GetEnvironmentVariable("PATH"), environment["PATH"]);
        Assert.DoesNotContain("DOTNET_LAUNCH_PROFILE", environment.Keys);
        Assert.DoesNotContain("ASPNETCORE_ENVIRONMENT", environment.Keys);
        Assert.DoesNotContain("DOTNET_ENVIRONMENT", environment.Keys);
    }

    [Theory]
    [InlineData("ASPIRE_DASHBOARD_OTLP_ENDPOINT_URL", "grpc")]
    [InlineData("ASPIRE_DASHBOARD_OTLP_HTTP_ENDPOINT_URL", "http/protobuf")]
    public async Task Build_ExternalDashboard_SendsTelemetryThere(string key, string protocol)
    {
        var environment = await BuildAsync(
            Service("webfrontend"),
            Environments.Development,
            ("Dashboard", "external"), (key, "http://localhost:19000"), ("AppHost:OtlpApiKey", "abc"));

        Assert.Equal("http://localhost:19000", environment["OTEL_EXPORTER_OTLP_ENDPOINT"]);
        Assert.Equal(protocol, environment["OTEL_EXPORTER_OTLP_PROTOCOL"]);
        Assert.Equal("x-otlp-api-key=abc", environment["OTEL_EXPORTER_OTLP_HEADERS"]);
    }

    [Fact]
    public async Task Build_NoDashboard_SendsTelemetryNowhere()
    {
        // The launch profile has this address for Aspire.
        var environment = await BuildAsync(
            Service("webfrontend"), Environments.Development, ("Dashboard", "none"), ("ASPIRE_DASHBOARD_OTLP_ENDPOINT_URL", "http://localhost:19000"));

        Assert.DoesNotContain("OTEL_EXPORTER_OTLP_ENDPOINT", environment.Keys);
    }

    [Fact]
    public async Task WithReference_Redis_GivesConnectionStringAndItsParts()
    {
        _builder.Configuration["Parameters:cache-password"] = "secret";
        var cache = _builder.AddRedis("cache");
        cache.Resource.Endpoints[0].AllocatedPort = 52001;

        var environment = await BuildAsync(Service("web").WithReference(cache), Environments.Development);

        Assert.Equal("localhost:52001,password=secret", environment["ConnectionStrings__cache"]);
        Assert.Equal("localhost", environment["CACHE_HOST"]);
        Assert.Equal("52001", environment["CACHE_PORT"]);
        Assert.Equal("secret", environment["CACHE_PASSWORD"]);
        Assert.Equal("redis://:secret@localhost:52001", environment["CACHE_URI"]);
    }

    [Fact]
    public async Task WithReference_Service_GivesItsPublicAddresses()
    {
        var api = Service("api-service").WithHttpEndpoint(name: "grpc", env: "GRPC_PORT");
        api.Resource.Endpoints[0].AllocatedPort = 5301;
        api.Resource.Endpoints[1].AllocatedPort = 5302;

        var environment = await BuildAsync(Service("web").WithReference(api), Environments.Development);

        Assert.Equal("http://localhost:5301", environment["API_SERVICE_HTTP"]);
        Assert.Equal("http://localhost:5301", environment["services__api-service__http__0"]);
        Assert.Equal("http://localhost:5302", environment["services__api-service__grpc__0"]);
    }

    [Fact]
    public async Task WithEnvironment_TextAndParameter_AreSet()
    {
        _builder.Configuration["Parameters:password"] = "secret";
        var password = _builder.AddParameter("password", new GenerateParameterDefault(), secret: true, persist: false);

        var environment = await BuildAsync(
            Service("web").WithEnvironment("TEXT", "x").WithEnvironment("PASSWORD", password), Environments.Development);

        Assert.Equal(("x", "secret"), (environment["TEXT"], environment["PASSWORD"]));
    }

    private IResourceBuilder<ProjectResource> Service(string name) =>
        _builder.AddProject<Metadata>(name, o => o.ExcludeLaunchProfile = true).WithHttpEndpoint(name: "http");

    private static async Task<Dictionary<string, string>> BuildAsync(
        IResourceBuilder<ProjectResource> service, string environmentName, params (string Key, string Value)[] settings)
    {
        var configuration = new ConfigurationBuilder()
            .AddInMemoryCollection(settings.Select(s => KeyValuePair.Create<string, string?>(s.Key, s.Value)))
            .Build();
        var ports = service.Resource.Endpoints.Select((e, i) => (e.Name, Port: 20_001 + i)).ToDictionary(e => e.Name, e => e.Port);
        return await new ReplicaEnvironment(configuration, new HostingEnvironment { EnvironmentName = environmentName })
            .BuildAsync(service.Resource, "ttdbggxs", ports, TestContext.Current.CancellationToken);
    }

    private static IEnumerable<string> Otel(Dictionary<string, string> environment) =>
        environment.Keys.Where(k => k.StartsWith("OTEL_", StringComparison.Ordinal)).Order();

    private sealed class Metadata : IProjectMetadata
    {
        public string ProjectPath => "/nowhere/Web.csproj";

        public string AssemblyPath => "/nowhere/Web.dll";
    }
}
