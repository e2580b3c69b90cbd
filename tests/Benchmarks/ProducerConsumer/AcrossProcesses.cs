using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using DistributedPatterns.Benchmarks.Harness;
using DistributedPatterns.Payloads;
using DistributedPatterns.ProducerConsumer;
using Microsoft.Extensions.Logging.Abstractions;
using StackExchange.Redis;

namespace DistributedPatterns.Benchmarks.ProducerConsumer;

/// <summary>Numbers through a queue in Redis, producers and consumers in one process each kind of queue; ended when the last one is acknowledged.</summary>
internal abstract class RedisItems(string name, int operations, SharedServices shared) : ThroughputContender(name, operations)
{
    public const int Callers = 64;
    public const int Batch = 50;

    public override async Task<string?> SetUpAsync()
    {
        await OpenAsync((await shared.StartAsync()).Connection);
        return null;
    }

    public override ValueTask TearDownAsync() => shared.StopAsync();

    protected abstract ValueTask OpenAsync(IConnectionMultiplexer redis);

    protected static Task Each(int callers, Func<int, Task> run) => Task.WhenAll(Enumerable.Range(0, callers).Select(caller => Task.Run(() => run(caller))));
}

/// <summary>Ours: bounded, leased, fenced, idempotent by id.</summary>
internal sealed class OurRedisQueue(string name, int operations, SharedServices shared, int batch) : RedisItems(name, operations, shared)
{
    private readonly int _callers = batch == 1 ? Callers : 4;
    private RedisWorkQueue<int> _queue = null!;

    public override async ValueTask TearDownAsync()
    {
        if (_queue is not null) await _queue.DisposeAsync();
        await base.TearDownAsync();
    }

    public override async Task<TimeSpan?> RunAsync(int operations)
    {
        var (left, sum) = (operations, 0L);
        using var stop = new CancellationTokenSource();
        await Task.WhenAll(Each(_callers, caller => ProduceAsync(caller, operations)), Each(_callers, async _ =>
        {
            while (Volatile.Read(ref left) > 0)
            {
                IReadOnlyList<Delivery<int>> deliveries;
                try
                {
                    deliveries = await _queue.ReserveAsync(batch, stop.Token);
                }
                catch (OperationCanceledException)
                {
                    return;
                }
                Interlocked.Add(ref sum, deliveries.Sum(delivery => (long)delivery.Payload));
                if (batch == 1) await deliveries[0].AckAsync();
                else await _queue.SettleAsync([.. deliveries.Select(delivery => Settlement.Ack(delivery))]);
                if (Interlocked.Add(ref left, -deliveries.Count) == 0) await stop.CancelAsync();
            }
        }));
        Items.Check(sum, operations);
        return null;
    }

    protected override ValueTask OpenAsync(IConnectionMultiplexer redis)
    {
        _queue = new RedisWorkQueue<int>(redis, $"bench-{batch}", PayloadCodec.Packed<int>(),
            new RedisWorkQueueOptions { Capacity = 10_000 }, TimeProvider.System, NullLogger<RedisWorkQueue<int>>.Instance);
        return default;
    }

    private async Task ProduceAsync(int caller, int operations)
    {
        var next = new List<WorkItem<int>>(batch);
        for (var i = caller; i < operations; i += _callers)
        {
            if (batch == 1)
            {
                await _queue.EnqueueAsync(new WorkItem<int>(i));
                continue;
            }
            next.Add(new WorkItem<int>(i));
            if (next.Count < batch && i + _callers < operations) continue;
            await _queue.EnqueueAsync(next);
            next.Clear();
        }
    }
}

/// <summary>The reliable list of the textbooks: a consumer moves an item to a list of its own, and takes it out of there when it is done.</summary>
internal sealed class BareList(string name, int operations, SharedServices shared) : RedisItems(name, operations, shared)
{
    private static readonly RedisKey s_ready = "{bare}:ready";

    private IDatabase _redis = null!;

    public override async Task<TimeSpan?> RunAsync(int operations)
    {
        var (left, sum) = (operations, 0L);
        await Task.WhenAll(
            Each(Callers, async caller =>
            {
                for (var i = caller; i < operations; i += Callers) await _redis.ListLeftPushAsync(s_ready, i);
            }),
            Each(Callers, async caller =>
            {
                RedisKey mine = $"{{bare}}:held:{caller}";
                while (Volatile.Read(ref left) > 0)
                {
                    if (await _redis.ListMoveAsync(s_ready, mine, ListSide.Right, ListSide.Left) is not { IsNull: false } item) continue;
                    Interlocked.Add(ref sum, (long)item);
                    await _redis.ListRemoveAsync(mine, item);
                    Interlocked.Decrement(ref left);
                }
            }));
        Items.Check(sum, operations);
        return null;
    }

    protected override ValueTask OpenAsync(IConnectionMultiplexer redis)
    {
        _redis = redis.GetDatabase();
        return default;
    }
}

/// <summary>BullMQ on the same server, in a process of Node's: <c>npm</c> gets the package into a folder of its own, outside of the repository.</summary>
internal sealed class BullQueue(string name, int operations, SharedServices shared, int batch) : RedisItems(name, operations, shared)
{
    private static readonly string[] s_packages = ["bullmq@6", "ioredis@5"];

    private DirectoryInfo? _folder;
    private string? _password;
    private int _port;

    public override async Task<string?> SetUpAsync()
    {
        await base.SetUpAsync();
        _folder = Directory.CreateTempSubdirectory("bullmq-");
        try
        {
            File.Copy(Path.Combine(AppContext.BaseDirectory, "ProducerConsumer", "bullmq.mjs"), Path.Combine(_folder.FullName, "bullmq.mjs"));
            await RunAsync("npm", ["install", "--no-audit", "--no-fund", "--silent", .. s_packages]);
            return null;
        }
        catch (Exception error) when (error is Win32Exception or InvalidOperationException)
        {
            return $"for it needs Node and {string.Join(", ", s_packages)}: {error.Message}";
        }
    }

    public override async Task<TimeSpan?> RunAsync(int operations)
    {
        var output = (await RunAsync("node", "bullmq.mjs", Text(_port), Text(operations), Text(batch), Text(Callers))).Split(' ');
        Items.Check(long.Parse(output[0], CultureInfo.InvariantCulture), operations);
        return TimeSpan.FromMilliseconds(double.Parse(output[1], CultureInfo.InvariantCulture));

        static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
    }

    public override async ValueTask TearDownAsync()
    {
        _folder?.Delete(recursive: true);
        await base.TearDownAsync();
    }

    protected override ValueTask OpenAsync(IConnectionMultiplexer redis)
    {
        _password = ConfigurationOptions.Parse(redis.Configuration).Password;
        _port = redis.GetEndPoints()[0] switch
        {
            DnsEndPoint dns => dns.Port,
            IPEndPoint ip => ip.Port,
            var other => throw new InvalidOperationException($"{other} has no port."),
        };
        return default;
    }

    private async Task<string> RunAsync(string file, params string[] arguments)
    {
        var start = new ProcessStartInfo(file, arguments) { WorkingDirectory = _folder!.FullName, RedirectStandardOutput = true };
        start.Environment["REDIS_PASSWORD"] = _password;
        using var process = Process.Start(start)!;
        var output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        return process.ExitCode == 0 ? output : throw new InvalidOperationException($"{file} ended with code {process.ExitCode}.");
    }
}
