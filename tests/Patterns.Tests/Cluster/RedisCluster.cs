using System.Globalization;
using DistributedPatterns.Tests.Support;
using StackExchange.Redis;

namespace DistributedPatterns.Tests.Cluster;

/// <summary>A Redis Cluster on loopback: three masters, and one replica of the first, whose keys a test uses and then lets fail over.</summary>
/// <remarks>Starts when it is first asked for. Without <c>redis-server</c> the test is skipped, in CI it fails.</remarks>
public sealed class RedisCluster : IRedisServer, IAsyncDisposable
{
    private const string Password = "test";
    private const string NoFailover = "cluster-replica-no-failover";
    private const int Slots = 16_384;
    private const int Masters = 3;

    // A master that says nothing for this long is failed over, if that is allowed. It also bounds how long nodes take to greet each other.
    private const int NodeTimeoutMs = 1_500;

    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(30);

    // Redis begins a node's next election only so long after its last one (auth_retry_time). A manual failover before that is won
    // with the votes and the epoch of the last one, and the others do not believe it.
    private static readonly TimeSpan s_electEvery = TimeSpan.FromMilliseconds(4 * NodeTimeoutMs + 500);

    private readonly string _data = Directory.CreateTempSubdirectory("patterns-cluster-").FullName;
    private readonly Lazy<Task> _started;
    private readonly List<ClusterNode> _nodes = [];

    public RedisCluster() => _started = new Lazy<Task>(LaunchAsync);

    public string ConnectionString =>
        string.Join(',', _nodes.Select(node => string.Create(CultureInfo.InvariantCulture, $"127.0.0.1:{node.Port}"))) + $",password={Password}";

    private static int SlotsEach => (Slots + Masters - 1) / Masters;

    /// <summary>Starts the cluster, unless it runs already, waits until its nodes are at peace, and returns it.</summary>
    public async Task<RedisCluster> StartedAsync()
    {
        await _started.Value;
        await AgreeAsync(); // on a machine that is short of time they may have lost sight of each other since
        return this;
    }

    public async Task<ConnectionMultiplexer> ConnectAsync()
    {
        var options = ConfigurationOptions.Parse(ConnectionString);
        options.AbortOnConnectFail = false;
        options.AllowAdmin = true;
        return await ConnectionMultiplexer.ConnectAsync(options);
    }

    /// <summary>Returns a hash tag of its own whose keys lie on the master that has a replica.</summary>
    public static string NewTag(IConnectionMultiplexer redis)
    {
        while (true)
        {
            var tag = SharedRedis.NewTag();
            if (redis.HashSlot($"{{{tag}}}") < SlotsEach) return tag;
        }
    }

    /// <summary>Asks whether the master of those keys has a script loaded, which it has once somebody ran it there.</summary>
    public async Task<bool> HasRunAsync(string script) => await (await MasterAsync()).HasRunAsync(script);

    /// <summary>Lets the replica take over without losing a write, as before maintenance (CLUSTER FAILOVER).</summary>
    public async Task FailOverAsync()
    {
        var (master, replica) = (await MasterAsync(), await ReplicaAsync());
        if (replica.ElectedAt is { } last && s_electEvery - TimeProvider.System.GetElapsedTime(last) is { Ticks: > 0 } rest)
            await Task.Delay(rest, TimeProvider.System, TestContext.Current.CancellationToken);
        await replica.AskAsync("CLUSTER", "FAILOVER");
        var askedAt = TimeProvider.System.GetTimestamp();
        await Eventually.TrueAsync(
            async () =>
            {
                if (await replica.SaysAsync("role:master")) return true;
                if (TimeProvider.System.GetElapsedTime(askedAt) < s_electEvery) return false;
                await replica.AskAsync("CLUSTER", "FAILOVER"); // Redis has given the last one up, after 5 seconds
                askedAt = TimeProvider.System.GetTimestamp();
                return false;
            }, s_limit, () => $"the node on port {replica.Port} does not take over. The nodes said:\n{Output}");
        replica.ElectedAt = TimeProvider.System.GetTimestamp();
        await BecomesAsync(master, "master_link_status:up");
        await AgreeAsync();
    }

    /// <summary>Kills the master once the replica has what was written so far, and waits until that has taken over. What is written meanwhile may be lost.</summary>
    public async Task KillMasterAsync()
    {
        var (master, replica) = (await MasterAsync(), await ReplicaAsync());
        await replica.AskAsync("CONFIG", "SET", NoFailover, "no");
        var written = await master.OffsetAsync("master_repl_offset");
        await Eventually.TrueAsync(async () => await replica.OffsetAsync("slave_repl_offset") >= written, s_limit, () => $"the replica does not catch up. The nodes said:\n{Output}");
        await master.Process.KillAsync();
        await BecomesAsync(replica, "role:master");
        replica.ElectedAt = TimeProvider.System.GetTimestamp();
        await replica.AskAsync("CONFIG", "SET", NoFailover, "yes");
    }

    /// <summary>Starts the killed node again; it becomes the replica of its successor.</summary>
    public async Task RestartKilledAsync()
    {
        var killed = _nodes.Single(node => node.Process.HasExited);
        await killed.Process.DisposeAsync();
        killed.Process = await StartNodeAsync(killed.Port, killed.BusPort);
        await BecomesAsync(killed, "master_link_status:up");
        await AgreeAsync();
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var node in _nodes) await node.DisposeAsync();
        Directory.Delete(_data, recursive: true);
    }

    private async Task LaunchAsync()
    {
        RedisBackend.RequireRedisServer();
        _nodes.AddRange(await Task.WhenAll(Enumerable.Range(0, Masters + 1).Select(async _ =>
        {
            var (port, bus) = (RedisBackend.FreePort(), RedisBackend.FreePort());
            return await ClusterNode.OpenAsync(await StartNodeAsync(port, bus), port, bus, Password);
        })));
        for (var i = 0; i < Masters; i++)
        {
            await _nodes[i].AskAsync("CLUSTER", "ADDSLOTSRANGE", SlotsEach * i, Math.Min(SlotsEach * (i + 1), Slots) - 1);
            // Distinct from the start; else the masters have to vote on it.
            await _nodes[i].AskAsync("CLUSTER", "SET-CONFIG-EPOCH", i + 1);
        }
        foreach (var node in _nodes.Skip(1)) await node.AskAsync("CLUSTER", "MEET", "127.0.0.1", _nodes[0].Port, _nodes[0].BusPort);
        await AgreeAsync();
        var replica = _nodes[^1];
        await replica.AskAsync("CLUSTER", "REPLICATE", (string)(await _nodes[0].AskAsync("CLUSTER", "MYID"))!);
        await BecomesAsync(replica, "master_link_status:up");
        await AgreeAsync();
    }

    private Task<WatchedProcess> StartNodeAsync(int port, int bus)
    {
        string[] settings =
        [
            "--port", $"{port}", "--bind", "127.0.0.1", "--requirepass", Password, "--masterauth", Password, "--dir", _data, "--save", "",
            "--cluster-enabled", "yes", "--cluster-port", $"{bus}", "--cluster-config-file", $"{port}.conf", "--cluster-node-timeout", $"{NodeTimeoutMs}",
            "--repl-diskless-sync-delay", "0", "--maxmemory-policy", "noeviction",
            $"--{NoFailover}", "yes", // on a busy machine a master may say nothing for longer
        ];
        return WatchedProcess.StartAsync([RedisBackend.RequireRedisServer(), .. settings]);
    }

    /// <summary>Waits until all know each other in the same roles and serve: before, they refuse their votes, and calls with CLUSTERDOWN.</summary>
    private Task AgreeAsync()
    {
        string?[] views = [];
        return Eventually.TrueAsync(
            async () =>
            {
                views = await Task.WhenAll(_nodes.Select(node => node.ViewAsync()));
                return views[0] is { } first && first.Split('\n').Length == _nodes.Count && views.All(view => view == first);
            }, s_limit, () => $"the nodes do not agree:\n{string.Join("\n\n", views)}\nThey said:\n{Output}");
    }

    private Task BecomesAsync(ClusterNode node, string fact) => Eventually.TrueAsync(
        () => node.SaysAsync(fact), s_limit, () => $"the node on port {node.Port} is not '{fact}'. The nodes said:\n{Output}");

    private Task<ClusterNode> MasterAsync() => FindAsync("role:master");

    private Task<ClusterNode> ReplicaAsync() => FindAsync("role:slave");

    /// <summary>Finds which of the two that share the first slots has the role.</summary>
    private async Task<ClusterNode> FindAsync(string role)
    {
        ClusterNode? found = null;
        await Eventually.TrueAsync(
            async () =>
            {
                foreach (var node in (ClusterNode[])[_nodes[0], _nodes[^1]])
                    if (await node.SaysAsync(role)) found = node;
                return found is not null;
            }, s_limit, () => $"no node is '{role}'. The nodes said:\n{Output}");
        return found!;
    }

    private string Output => string.Join("\n---\n", _nodes.Select(node => node.Process.Output));
}
