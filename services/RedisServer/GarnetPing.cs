using System.Net;
using System.Net.Sockets;
using System.Text;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace RedisServer;

/// <summary>Asks Garnet as a client would: connects, authenticates, sends PING.</summary>
internal sealed class GarnetPing(GarnetOptions options) : IHealthCheck
{
    public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, options.Port, cancellationToken);
        var stream = client.GetStream();
        using var reader = new StreamReader(stream, Encoding.ASCII);
        if (options.Password is { } password && await Ask("AUTH", password) is not "+OK" and var refused)
            return HealthCheckResult.Unhealthy($"AUTH was answered '{refused}'.");
        return await Ask("PING") is "+PONG" ? HealthCheckResult.Healthy() : HealthCheckResult.Unhealthy("PING was not answered.");

        async Task<string?> Ask(params string[] words)
        {
            var request = new StringBuilder($"*{words.Length}\r\n");
            foreach (var word in words)
                request.Append($"${Encoding.UTF8.GetByteCount(word)}\r\n{word}\r\n");
            await stream.WriteAsync(Encoding.UTF8.GetBytes(request.ToString()), cancellationToken);
            return await reader.ReadLineAsync(cancellationToken);
        }
    }
}
