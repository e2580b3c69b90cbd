using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Diagnostics.HealthChecks;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Http.Resilience;
using Microsoft.Extensions.Logging;
using OpenTelemetry;
using OpenTelemetry.Metrics;
using OpenTelemetry.Trace;
using ServiceDefaults;

namespace Microsoft.Extensions.Hosting;

/// <summary>What every service of the system has in common: telemetry, health, discovery, resilience, endpoints, lifetime.</summary>
public static class Extensions
{
    private const string HealthPath = "/health";
    private const string AlivePath = "/alive";

    /// <summary>The name of the patterns' own <see cref="System.Diagnostics.ActivitySource"/> and meter.</summary>
    private const string PatternsSource = "DistributedPatterns";

    /// <summary>Adds all that a service of this system needs before its own parts.</summary>
    /// <remarks>
    /// On a <see cref="WebApplicationBuilder"/> it also binds HTTP/1.1 where ASPNETCORE_URLS says and, if GRPC_PORT is set,
    /// HTTP/2 without TLS on that port.
    /// </remarks>
    public static TBuilder AddServiceDefaults<TBuilder>(this TBuilder builder) where TBuilder : IHostApplicationBuilder
    {
        builder.ConfigureOpenTelemetry();
        builder.AddDefaultHealthChecks();
        builder.Services.AddServiceDiscovery();
        builder.Services.ConfigureHttpClientDefaults(http =>
        {
            // A POST that timed out may have been done: sending it again is the caller's decision. gRPC channels between
            // members do not pass here, for an attempt limit would cut and replay their streams.
            http.AddStandardResilienceHandler(options => options.Retry.DisableForUnsafeHttpMethods());
            http.AddServiceDiscovery();
        });
        if (builder is WebApplicationBuilder web)
            ServiceEndpoints.Bind(web);
        if (builder.Configuration[EmbeddedHostLifetime.Variable] == "embedded")
            builder.Services.AddSingleton<IHostLifetime, EmbeddedHostLifetime>();
        return builder;
    }

    /// <summary>Collects logs, metrics and traces, and exports them over OTLP if OTEL_EXPORTER_OTLP_ENDPOINT is set.</summary>
    public static TBuilder ConfigureOpenTelemetry<TBuilder>(this TBuilder builder) where TBuilder : IHostApplicationBuilder
    {
        builder.Logging.AddOpenTelemetry(logging =>
        {
            logging.IncludeFormattedMessage = true;
            logging.IncludeScopes = true;
        });
        // Spans tell of requests; four lines about each, health polls among them, would bury what services say.
        builder.Logging.AddFilter("Microsoft.AspNetCore", LogLevel.Warning);
        // A call whose deadline passes, or that is tried again, is what its caller reports.
        builder.Logging.AddFilter("Grpc.Net.Client.Internal.GrpcCall", LogLevel.Error);
        // Nor is it the server's error.
        builder.Services.AddSingleton<LoggerFactory>().Replace(ServiceDescriptor.Singleton<ILoggerFactory>(services => new QuietResets(services.GetRequiredService<LoggerFactory>())));
        var telemetry = builder.Services.AddOpenTelemetry()
            .WithMetrics(metrics => metrics
                .AddMeter(PatternsSource)
                .AddAspNetCoreInstrumentation()
                .AddHttpClientInstrumentation()
                .AddRuntimeInstrumentation())
            .WithTracing(tracing => tracing
                .AddSource(builder.Environment.ApplicationName, PatternsSource)
                .AddAspNetCoreInstrumentation(web => web.Filter = context => !IsHealthRequest(context))
                .AddHttpClientInstrumentation()
                // One span a call: the HTTP request beneath it says nothing that the call does not.
                .AddGrpcClientInstrumentation(grpc => grpc.SuppressDownstreamInstrumentation = true));
        if (!string.IsNullOrWhiteSpace(builder.Configuration["OTEL_EXPORTER_OTLP_ENDPOINT"]))
            telemetry.UseOtlpExporter();
        return builder;
    }

    /// <summary>Adds the check <c>self</c>, tagged <c>live</c>: the process answers.</summary>
    public static TBuilder AddDefaultHealthChecks<TBuilder>(this TBuilder builder) where TBuilder : IHostApplicationBuilder
    {
        // Whoever asks for the health is told; a log line a check and poll while Redis is away, or not probed yet, says nothing more.
        builder.Logging.AddFilter("Microsoft.Extensions.Diagnostics.HealthChecks", LogLevel.Critical);
        builder.Services.AddHealthChecks().AddCheck("self", () => HealthCheckResult.Healthy(), ["live"]);
        return builder;
    }

    /// <summary>Maps <c>/health</c> (ready: all checks) and <c>/alive</c> (the checks tagged <c>live</c>).</summary>
    /// <remarks>Outside Development they answer callers on this machine only and are 404 for others.</remarks>
    public static WebApplication MapDefaultEndpoints(this WebApplication app)
    {
        // Aspire's template maps them in Development only, because what they tell is an attacker's map. The embedded host
        // polls /health whatever the environment is, and does so over loopback.
        if (!app.Environment.IsDevelopment())
        {
            app.Use(static (context, next) =>
            {
                if (!IsHealthRequest(context) || context.Connection.RemoteIpAddress is { } from && System.Net.IPAddress.IsLoopback(from))
                    return next(context);
                context.Response.StatusCode = StatusCodes.Status404NotFound;
                return Task.CompletedTask;
            });
        }
        app.MapHealthChecks(HealthPath);
        app.MapHealthChecks(AlivePath, new HealthCheckOptions { Predicate = check => check.Tags.Contains("live") });
        return app;
    }

    private static bool IsHealthRequest(HttpContext context) =>
        context.Request.Path.StartsWithSegments(HealthPath, StringComparison.OrdinalIgnoreCase)
        || context.Request.Path.StartsWithSegments(AlivePath, StringComparison.OrdinalIgnoreCase);
}
