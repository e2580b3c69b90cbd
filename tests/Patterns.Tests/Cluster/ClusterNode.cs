using System.Globalization;
using System.Net;
using System.Net.Sockets;
using DistributedPatterns.Tests.Support;
using StackExchange.Redis;

namespace DistributedPatterns.Tests.Cluster;

/// <summary>One server of a cluster, asked on a connection of its own.</summary>
internal sealed class ClusterNode : IAsyncDisposable
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(30);

    private readonly ConnectionMultiplexer _connection;

    private ClusterNode(WatchedProcess process, int port, int busPort, ConnectionMultiplexer connection) =>
        (Process, Port, BusPort, _connection) = (process, port, busPort, connection);

    public WatchedProcess Process { get; set; }

    public int Port { get; }

    public int BusPort { get; }

    /// <summary>Gets or sets when it was last elected, or <see langword="null"/>.</summary>
    public long? ElectedAt { get; set; }

    public static async Task<ClusterNode> OpenAsync(WatchedProcess process, int port, int busPort, string password)
    {
        var options = ConfigurationOptions.Parse(string.Create(CultureInfo.InvariantCulture, $"127.0.0.1:{port},password={password}"));
        options.AllowAdmin = true;
        options.AbortOnConnectFail = false;
        options.Protocol = RedisProtocol.Resp2; // in RESP3 a text begins with its format
        // The client's own next attempt would be seconds away.
        await Eventually.TrueAsync(() => ListensAsync(port), s_limit, () => $"nobody listens on port {port}. The node said:\n{process.Output}");
        return new ClusterNode(process, port, busPort, await ConnectionMultiplexer.ConnectAsync(options));
    }

    /// <summary>Asks for its replication state, which for a moment after a start it cannot tell.</summary>
    public async Task<bool> SaysAsync(string fact)
    {
        try
        {
            return ((string)(await AskAsync("INFO", "replication"))!).Contains(fact, StringComparison.Ordinal);
        }
        catch (Exception e) when (e is RedisException or TimeoutException)
        {
            return false;
        }
    }

    /// <summary>Returns how far it is in the stream of writes: <c>master_repl_offset</c> is what a master has sent, <c>slave_repl_offset</c> what a replica has done.</summary>
    public async Task<long> OffsetAsync(string field)
    {
        var lines = ((string)(await AskAsync("INFO", "replication"))!).Split('\n');
        return long.Parse(lines.Single(line => line.StartsWith($"{field}:", StringComparison.Ordinal))[(field.Length + 1)..].Trim(), CultureInfo.InvariantCulture);
    }

    /// <summary>Returns who is master of what and who a replica, as this node sees it; null when it suspects somebody, refuses calls (CLUSTERDOWN) or does not answer.</summary>
    public async Task<string?> ViewAsync()
    {
        try
        {
            if (!((string)(await AskAsync("CLUSTER", "INFO"))!).Contains("cluster_state:ok", StringComparison.Ordinal)) return null;
            var nodes = ((string)(await AskAsync("CLUSTER", "NODES"))!).Split('\n', StringSplitOptions.RemoveEmptyEntries)
                .Select(line => line.Split(' '))
                .Select(node => (Id: node[0], Flags: string.Join(',', node[2].Split(',').Except(["myself", "nofailover"])), Master: node[3], Slots: string.Join(' ', node.Skip(8))))
                .OrderBy(node => node.Id, StringComparer.Ordinal)
                .ToList();
            return nodes.All(node => node.Flags is "master" or "slave") ? string.Join('\n', nodes) : null;
        }
        catch (Exception e) when (e is RedisException or TimeoutException)
        {
            return null;
        }
    }

    public Task<RedisResult> AskAsync(string command, params object[] arguments) => Server.ExecuteAsync(command, arguments);

    /// <summary>Asks whether it has a script loaded, which it has once somebody ran it there.</summary>
    public Task<bool> HasRunAsync(string script) => Server.ScriptExistsAsync(script);

    private static async Task<bool> ListensAsync(int port)
    {
        using var client = new TcpClient();
        try
        {
            await client.ConnectAsync(IPAddress.Loopback, port);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    // The client finds the other nodes by itself; this is the one meant.
    private IServer Server => _connection.GetServer("127.0.0.1", Port);

    public async ValueTask DisposeAsync()
    {
        await _connection.DisposeAsync();
        await Process.DisposeAsync();
    }
}
