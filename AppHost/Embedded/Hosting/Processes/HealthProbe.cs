using System.Net.Sockets;
using System.Text;
using Aspire.Hosting.ApplicationModel;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace Aspire.Hosting.Processes;

/// <summary>Asks one replica how it is, on its own port: through the proxy one answer would stand for all.</summary>
internal sealed class HealthProbe(TimeProvider time) : IDisposable
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(3);

    // One connection a question, so that a replica that no longer accepts any is found out.
    private readonly HttpClient _http = new(new SocketsHttpHandler { PooledConnectionLifetime = TimeSpan.Zero, UseProxy = false })
    {
        Timeout = Timeout.InfiniteTimeSpan,
    };

    public async Task<HealthReportSnapshot> CheckAsync(
        Resource resource, HealthCheckAnnotation check, IReadOnlyDictionary<string, int> ports, CancellationToken cancellationToken)
    {
        using var limit = new CancellationTokenSource(s_limit, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        string? problem;
        try
        {
            var port = ports[check.EndpointName];
            problem = check.Path is null
                ? await PingAsync((RedisResource)resource, port, either.Token)
                : await GetAsync(new Uri($"http://localhost:{port}{check.Path}"), check.StatusCode, either.Token);
        }
        catch (Exception e) when (e is HttpRequestException or SocketException or IOException)
        {
            problem = e.Message;
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            problem = $"No answer within {s_limit.TotalSeconds} s.";
        }

        return new(check.Key, problem is null ? HealthStatus.Healthy : HealthStatus.Unhealthy, problem, null);
    }

    public void Dispose() => _http.Dispose();

    private async Task<string?> GetAsync(Uri uri, int expected, CancellationToken cancellationToken)
    {
        using var response = await _http.GetAsync(uri, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
        return (int)response.StatusCode == expected ? null : $"{uri.AbsolutePath} answered {(int)response.StatusCode}, not {expected}.";
    }

    private static async Task<string?> PingAsync(RedisResource redis, int port, CancellationToken cancellationToken)
    {
        using var client = new TcpClient();
        await client.ConnectAsync("127.0.0.1", port, cancellationToken);
        var stream = client.GetStream();
        var password = await redis.PasswordParameter.GetValueAsync(cancellationToken);
        await stream.WriteAsync(Encoding.ASCII.GetBytes($"AUTH {password}\r\nPING\r\n"), cancellationToken);
        using var reader = new StreamReader(stream);
        var (auth, ping) = (await reader.ReadLineAsync(cancellationToken), await reader.ReadLineAsync(cancellationToken));
        return (auth, ping) == ("+OK", "+PONG") ? null : $"AUTH answered '{auth}', PING '{ping}'.";
    }
}
