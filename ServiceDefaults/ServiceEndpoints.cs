using System.Globalization;
using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging;

namespace ServiceDefaults;

/// <summary>Binds HTTP/1.1 where ASPNETCORE_URLS says and HTTP/2 without TLS on GRPC_PORT, in this order.</summary>
/// <remarks>
/// Two ports, because without TLS there is no negotiation: one port cannot serve both. gRPC is bound as widely as the first
/// URL: loopback for <c>localhost</c>, every address for <c>*</c>, <c>+</c> and <c>0.0.0.0</c>. Port 0 takes a free one.
/// </remarks>
internal static class ServiceEndpoints
{
    public static void Bind(WebApplicationBuilder builder)
    {
        var grpcPort = builder.Configuration["GRPC_PORT"];
        if (string.IsNullOrWhiteSpace(grpcPort))
            return;
        if (!int.TryParse(grpcPort, NumberStyles.None, CultureInfo.InvariantCulture, out var port) || port > IPEndPoint.MaxPort)
            throw new InvalidOperationException($"GRPC_PORT is '{grpcPort}', which is no port: give 0 (any free one) to {IPEndPoint.MaxPort}.");

        // One explicit Listen makes Kestrel ignore ASPNETCORE_URLS without a word, so they are bound here as well.
        var urls = (builder.Configuration[WebHostDefaults.ServerUrlsKey] is { Length: > 0 } given ? given : "http://localhost:5000")
            .Split(';', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
            .Select(BindingAddress.Parse)
            .ToArray();
        // Kestrel warns at every start that the URLs are overridden. They are not: the same ones are bound here, and the host
        // took them in too early to be told. Only this logger falls silent, those below it do not.
        builder.Logging.AddFilter("Microsoft.AspNetCore.Server.Kestrel", LogLevel.Error);
        builder.Logging.AddFilter("Microsoft.AspNetCore.Server.Kestrel.", LogLevel.Warning);
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            foreach (var url in urls)
                Listen(kestrel, url.Host, url.Port, url.Scheme == Uri.UriSchemeHttps
                    ? static endpoint => endpoint.UseHttps()
                    : static endpoint => endpoint.Protocols = HttpProtocols.Http1);
            Listen(kestrel, urls[0].Host, port, static endpoint => endpoint.Protocols = HttpProtocols.Http2);
            // Streams carry batches of items: the default window of 96 KiB a stream would cost a round trip a few batches.
            kestrel.Limits.Http2.InitialStreamWindowSize = 1024 * 1024;
            kestrel.Limits.Http2.InitialConnectionWindowSize = 4 * 1024 * 1024;
        });
    }

    private static void Listen(KestrelServerOptions kestrel, string host, int port, Action<ListenOptions> configure)
    {
        if (IPAddress.TryParse(host, out var address))
            kestrel.Listen(address, port, configure);
        else if (!host.Equals("localhost", StringComparison.OrdinalIgnoreCase))
            kestrel.ListenAnyIP(port, configure);
        else if (port == 0)
            // Two sockets, v4 and v6, cannot take the same free port.
            kestrel.Listen(IPAddress.Loopback, port, configure);
        else
            kestrel.ListenLocalhost(port, configure);
    }
}
