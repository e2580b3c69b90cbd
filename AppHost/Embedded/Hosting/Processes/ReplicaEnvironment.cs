using System.Collections;
using System.Globalization;
using Aspire.Hosting.ApplicationModel;
using Aspire.Hosting.Dashboard;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Hosting;

namespace Aspire.Hosting.Processes;

/// <summary>Builds the environment of a replica: this process's own, less what is meant for an AppHost, plus what Aspire sets.</summary>
internal sealed class ReplicaEnvironment(IConfiguration configuration, IHostEnvironment host)
{
    private static readonly string[] s_notInherited =
        ["ASPNETCORE_URLS", "DOTNET_LAUNCH_PROFILE", "ASPNETCORE_ENVIRONMENT", "DOTNET_ENVIRONMENT"];

    public async ValueTask<Dictionary<string, string>> BuildAsync(
        ProjectResource resource, string instanceId, IReadOnlyDictionary<string, int> targetPorts, CancellationToken cancellationToken)
    {
        var environment = Inherited();
        AddTelemetry(environment, resource.Name, instanceId);
        environment["DOTNET_SYSTEM_CONSOLE_ALLOW_ANSI_COLOR_REDIRECTION"] = "true";
        environment["LOGGING__CONSOLE__FORMATTERNAME"] = "simple";
        AddPorts(environment, resource, targetPorts);

        // Tells ServiceDefaults that SIGINT is not for it and that the end of its standard input means its host is gone.
        environment["DISTRIBUTEDPATTERNS_HOST"] = "embedded";
        foreach (var add in resource.Environment)
        {
            await add(environment, cancellationToken);
        }

        return environment;
    }

    private static Dictionary<string, string> Inherited()
    {
        var environment = new Dictionary<string, string>(OperatingSystem.IsWindows() ? StringComparer.OrdinalIgnoreCase : StringComparer.Ordinal);
        foreach (DictionaryEntry variable in Environment.GetEnvironmentVariables())
        {
            environment[(string)variable.Key] = (string?)variable.Value ?? "";
        }

        foreach (var name in s_notInherited)
        {
            environment.Remove(name);
        }

        return environment;
    }

    private void AddTelemetry(Dictionary<string, string> environment, string name, string instanceId)
    {
        environment["OTEL_SERVICE_NAME"] = name;
        environment["OTEL_RESOURCE_ATTRIBUTES"] = $"service.instance.id={instanceId}";
        environment["OTEL_DOTNET_EXPERIMENTAL_OTLP_RETRY"] = "in_memory";
        environment["OTEL_DOTNET_EXPERIMENTAL_ASPNETCORE_DISABLE_URL_QUERY_REDACTION"] = "true";
        environment["OTEL_DOTNET_EXPERIMENTAL_HTTPCLIENT_DISABLE_URL_QUERY_REDACTION"] = "true";
        if (host.IsDevelopment())
        {
            environment["OTEL_BLRP_SCHEDULE_DELAY"] = "1000";
            environment["OTEL_BSP_SCHEDULE_DELAY"] = "1000";
            environment["OTEL_METRIC_EXPORT_INTERVAL"] = "1000";
            environment["OTEL_TRACES_SAMPLER"] = "always_on";
            environment["OTEL_METRICS_EXEMPLAR_FILTER"] = "trace_based";
            environment["OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"] = "true";
        }

        // The launch profile names an address whether or not anything listens there. The own dashboard has put its own in its place.
        if (DashboardHost.ChoiceIn(configuration) == DashboardChoice.None)
        {
            return;
        }

        var (grpc, http) = (configuration["ASPIRE_DASHBOARD_OTLP_ENDPOINT_URL"], configuration["ASPIRE_DASHBOARD_OTLP_HTTP_ENDPOINT_URL"]);
        if ((grpc ?? http) is { } endpoint)
        {
            environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = endpoint;
            environment["OTEL_EXPORTER_OTLP_PROTOCOL"] = grpc is null ? "http/protobuf" : "grpc";
            if (configuration["AppHost:OtlpApiKey"] is { } key)
            {
                environment["OTEL_EXPORTER_OTLP_HEADERS"] = $"x-otlp-api-key={key}";
            }
        }
    }

    private static void AddPorts(Dictionary<string, string> environment, ProjectResource resource, IReadOnlyDictionary<string, int> targetPorts)
    {
        var urls = new List<string>();
        foreach (var endpoint in resource.Endpoints)
        {
            var port = targetPorts[endpoint.Name].ToString(CultureInfo.InvariantCulture);
            if (endpoint.TargetPortEnvironmentVariable is { } variable)
            {
                environment[variable] = port;
            }
            else if (endpoint.UriScheme == "http")
            {
                urls.Add($"http://localhost:{port}");
            }
        }

        if (urls.Count > 0)
        {
            environment["ASPNETCORE_URLS"] = string.Join(';', urls);
        }
    }
}
