using System.Globalization;
using System.Net;
using System.Net.Sockets;
using StackExchange.Redis;

namespace DistributedPatterns.Tests.Support;

/// <summary>A real Redis in a process of its own, on a free port of 127.0.0.1, that tests may freeze, kill and start again.</summary>
public sealed partial class RedisBackend : IRedisServer, IAsyncDisposable
{
    private const string Password = "test";
    private const int FirstPort = 10_000;
    private const int Ports = 10_000;
    private static readonly TimeSpan s_startLimit = TimeSpan.FromMinutes(2);
    private static int s_nextPort = Random.Shared.Next(Ports);

    private readonly string _data = Directory.CreateTempSubdirectory("patterns-redis-").FullName;
    private readonly int _port = FreePort();
    private WatchedProcess? _process;

    private readonly bool _waitForLog;

    private RedisBackend(RedisKind kind, bool waitForLog) => (Kind, _waitForLog) = (kind, waitForLog);

    public RedisKind Kind { get; }

    /// <summary>Gets the connection string, as services take it.</summary>
    public string ConnectionString => $"127.0.0.1:{_port},password={Password}";

    /// <summary>Starts a server and waits until it answers.</summary>
    /// <param name="kind">Which server.</param>
    /// <param name="waitForLog">Whether a write is acknowledged only when the log holds it, so that a killed server lost nothing it had acknowledged.</param>
    /// <exception cref="InvalidOperationException">There is no <c>redis-server</c>.</exception>
    public static async Task<RedisBackend> StartAsync(RedisKind kind, bool waitForLog = false)
    {
        if (kind == RedisKind.Redis)
            RequireRedisServer();
        var backend = new RedisBackend(kind, waitForLog);
        try
        {
            await backend.LaunchAsync();
        }
        catch
        {
            await backend.DisposeAsync();
            throw;
        }
        return backend;
    }

    /// <summary>Returns where <c>redis-server</c> is. Without it the test is skipped, in CI it fails.</summary>
    public static string RequireRedisServer()
    {
        const string Reason = "No redis-server on the PATH: install it (apt install redis-server, brew install redis) to run this on Redis.";
        if (FindRedisServer() is { } path)
            return path;
        OnMissing(Reason);
        throw new InvalidOperationException(Reason);
    }

    /// <summary>Gives a port on which nothing listens, below those that the system gives out by itself: nobody else gets it before the server has it, or while it is down.</summary>
    public static int FreePort()
    {
        while (true)
        {
            var port = FirstPort + (int)((uint)Interlocked.Increment(ref s_nextPort) % Ports);
            try
            {
                using var listener = new TcpListener(IPAddress.Loopback, port);
                listener.Start();
                return port;
            }
            catch (SocketException)
            {
                // Taken: the next one.
            }
        }
    }

    public async Task<ConnectionMultiplexer> ConnectAsync()
    {
        var options = ConfigurationOptions.Parse(ConnectionString);
        options.AbortOnConnectFail = false;
        options.AllowAdmin = true;
        return await ConnectionMultiplexer.ConnectAsync(options);
    }

    public Task PauseAsync() => _process!.PauseAsync();

    public Task ResumeAsync() => _process!.ResumeAsync();

    /// <summary>Kills the server. What it acknowledged last may be lost unless it waits for its log.</summary>
    public Task KillAsync() => _process!.KillAsync();

    /// <summary>Starts the killed server again on the same port and data.</summary>
    public async Task RestartAsync()
    {
        await _process!.DisposeAsync();
        await LaunchAsync();
    }

    public async ValueTask DisposeAsync()
    {
        if (_process is not null)
            await _process.DisposeAsync();
        Directory.Delete(_data, recursive: true);
    }

    private async Task LaunchAsync()
    {
        var port = _port.ToString(CultureInfo.InvariantCulture);
        _process = Kind == RedisKind.Redis
            ? await WatchedProcess.StartAsync(
                [RequireRedisServer(), "--bind", "127.0.0.1", "--port", port, "--requirepass", Password, "--dir", _data, "--appendonly", "yes", "--appendfsync", _waitForLog ? "always" : "everysec", "--maxmemory-policy", "noeviction"])
            : await WatchedProcess.StartBuiltAsync("RedisServer", new Dictionary<string, string>
            {
                ["REDIS_PORT"] = port,
                ["REDIS_PASSWORD"] = Password,
                ["Redis__DataPath"] = _data,
                ["Redis__LuaTransactionMode"] = Kind == RedisKind.Garnet ? "true" : "false",
                ["Redis__CommitWait"] = _waitForLog ? "true" : "false",
                ["ASPNETCORE_URLS"] = "http://127.0.0.1:0",
            });
        var since = TimeProvider.System.GetTimestamp();
        while (!await AnswersAsync())
        {
            if (TimeProvider.System.GetElapsedTime(since) > s_startLimit)
                throw new TimeoutException($"{Kind} on port {port} does not answer within {s_startLimit}. It said:\n{_process.Output}");
            await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System);
        }
    }

    private async Task<bool> AnswersAsync()
    {
        if (_process!.HasExited)
            throw new InvalidOperationException($"{Kind} ended with exit code {_process.ExitCode}. It said:\n{_process.Output}");
        try
        {
            await using var connection = await ConnectionMultiplexer.ConnectAsync(ConnectionString + ",connectTimeout=1000,connectRetry=1");
            await connection.GetDatabase().PingAsync();
            return true;
        }
        catch (Exception error) when (error is RedisException or TimeoutException)
        {
            return false;
        }
    }

    /// <summary>Called when there is no <c>redis-server</c>: a test suite skips here.</summary>
    static partial void OnMissing(string reason);

    private static string? FindRedisServer() => (Environment.GetEnvironmentVariable("PATH") ?? "")
        .Split(Path.PathSeparator)
        .Select(folder => Path.Combine(folder, "redis-server"))
        .FirstOrDefault(File.Exists);
}
