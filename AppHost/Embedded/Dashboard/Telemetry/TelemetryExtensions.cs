using Grpc.AspNetCore.Server.Model;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;

namespace Aspire.Hosting.Dashboard.Telemetry;

/// <summary>What the dashboard's host adds and maps for telemetry.</summary>
internal static class TelemetryExtensions
{
    public static IServiceCollection AddTelemetry(this IServiceCollection services)
    {
        services.AddGrpc(grpc => grpc.MaxReceiveMessageSize = OtlpReceiver.MaxMessageBytes);
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IServiceMethodProvider<OtlpReceiver>, OtlpReceiver.Methods>());
        services.TryAddSingleton(TimeProvider.System);
        services.AddSingleton(provider => new TelemetryStore(provider.GetRequiredService<TimeProvider>(), new()));
        services.AddSingleton<OtlpReceiver>();
        // What a sender does wrong it is told; it is no error of this process. The receiver logs its own.
        return services.AddLogging(logging => logging.AddFilter("Grpc.AspNetCore.Server", LogLevel.None));
    }

    /// <summary>Maps the receiver and the API.</summary>
    /// <param name="otlpKey">What exporters send in <see cref="OtlpReceiver.KeyHeader"/>.</param>
    /// <param name="apiKey">What tools send in <see cref="TelemetryApi.KeyHeader"/>.</param>
    public static void MapTelemetry(this WebApplication app, string otlpKey, string apiKey)
    {
        app.MapGrpcService<OtlpReceiver>().AllowAnonymous().Add(endpoint => OtlpReceiver.RequireKey(endpoint, otlpKey));
        TelemetryApi.Map(app, apiKey);
    }
}
