using System.Net.Sockets;
using Garnet;

namespace RedisServer;

/// <summary>A Garnet server in this process, from its start to its last commit.</summary>
internal sealed class EmbeddedGarnet : IAsyncDisposable
{
    private static readonly TimeSpan s_commitLimit = TimeSpan.FromSeconds(10);

    private readonly GarnetServer _server;
    private readonly GarnetOptions _options;

    private EmbeddedGarnet(GarnetServer server, GarnetOptions options) => (_server, _options) = (server, options);

    /// <summary>Recovers what the data folder holds and starts to listen.</summary>
    /// <exception cref="RedisServerException">The port is taken, or the folder cannot be written.</exception>
    public static EmbeddedGarnet Start(GarnetOptions options)
    {
        ProbePort(options.Port);
        ProbeFolder(options.DataPath);
        var server = new GarnetServer(options.ToArguments());
        try
        {
            server.Start();
        }
        catch (SocketException e)
        {
            server.Dispose();
            throw PortTaken(options.Port, e);
        }
        return new EmbeddedGarnet(server, options);
    }

    /// <summary>Commits the log and stops; a temporary data folder goes with it.</summary>
    public async ValueTask DisposeAsync()
    {
        using var limit = new CancellationTokenSource(s_commitLimit, TimeProvider.System);
        try
        {
            await _server.Store.CommitAOFAsync(limit.Token);
        }
        catch (OperationCanceledException)
        {
            await Console.Error.WriteLineAsync($"redis-server: The log was not committed within {s_commitLimit}; the last writes may be missing after a restart.");
        }
        _server.Dispose();
        if (!_options.KeepData)
            Directory.Delete(_options.DataPath, recursive: true);
    }

    // Garnet opens its log before its port, and two servers on one log would spoil it: look first.
    private static void ProbePort(int port)
    {
        try
        {
            using var probe = new TcpListener(System.Net.IPAddress.Loopback, port);
            probe.Start();
        }
        catch (SocketException e)
        {
            throw PortTaken(port, e);
        }
    }

    private static void ProbeFolder(string path)
    {
        try
        {
            Directory.CreateDirectory(path);
            var probe = Path.Combine(path, $".probe-{Environment.ProcessId}");
            File.WriteAllBytes(probe, []);
            File.Delete(probe);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new RedisServerException($"The data folder '{path}' cannot be written ({e.Message}). Give another one in Redis:DataPath.", e);
        }
    }

    private static RedisServerException PortTaken(int port, SocketException e) =>
        new($"Port {port} on 127.0.0.1 cannot be opened ({e.Message}). End what listens there or give another one in REDIS_PORT.", e);
}
