using System.Text.Json;
using DistributedPatterns.Redis;
using Microsoft.Extensions.Options;
using StackExchange.Redis;

namespace DistributedPatterns.WorkerPool.Engine;

/// <summary>What all processes know of each other: who has workers, what they run, and what they are told (<c>workers.lua</c>).</summary>
internal sealed class RedisWorkerRegistry : IAsyncDisposable
{
    private const string ControlBell = "control";

    private static readonly RedisScript s_script = RedisScript.Load("WorkerPool/workers.lua");

    private readonly IConnectionMultiplexer _redis;
    private readonly RedisWorkerPoolOptions _options;
    private readonly TimeProvider _time;
    private readonly RedisRetry _retry;
    private readonly RedisKey[] _keys;
    private readonly RedisChannel _bellChannel;
    private readonly RedisDoorbell _doorbell;

    public RedisWorkerRegistry(IConnectionMultiplexer redis, IOptions<RedisWorkerPoolOptions> options, TimeProvider time)
    {
        (_redis, _options, _time, _retry) = (redis, options.Value, time, new RedisRetry(time));
        var tag = $"{{{_options.KeyTag}}}";
        _keys = [$"{tag}:workers", $"{tag}:control"];
        _bellChannel = RedisChannel.Literal($"{tag}:workers:bell");
        _doorbell = new RedisDoorbell(redis, _bellChannel, time);
    }

    /// <summary>Begins to listen for changes of what is told.</summary>
    public RedisDoorbell.Listener Listen() => _doorbell.Listen(ControlBell);

    public async Task<RedisPoolControl> ReadAsync(CancellationToken cancellationToken) => RedisPoolControl.Of(await CallAsync(cancellationToken, "read").ConfigureAwait(false));

    /// <summary>Reports; not repeated when Redis is away, for the next report is on its way.</summary>
    public async Task<RedisPoolControl> BeatAsync(string name, WorkerReport report)
    {
        // Twice the period, and once more for the way: a single late report takes nobody off the list.
        var timeToLive = (long)(_options.ReportEvery * 3).TotalMilliseconds;
        var json = JsonSerializer.Serialize(report, WorkerPoolJson.Default.WorkerReport);
        return RedisPoolControl.Of((RedisResult[])(await s_script.EvaluateAsync(_redis.GetDatabase(), _keys, "beat", name, timeToLive, json).ConfigureAwait(false))!);
    }

    public Task LeaveAsync(string name) => s_script.EvaluateAsync(_redis.GetDatabase(), _keys, "leave", name);

    /// <summary>Tells all processes, those that start later included.</summary>
    public async Task SetAsync(CancellationToken cancellationToken, params (string Field, int Value)[] values)
    {
        await CallAsync(cancellationToken, ["set", .. values.SelectMany(pair => (RedisValue[])[pair.Field, pair.Value])]).ConfigureAwait(false);
        await _redis.GetSubscriber().PublishAsync(_bellChannel, ControlBell, CommandFlags.FireAndForget).ConfigureAwait(false);
    }

    public async Task<(RedisPoolControl Control, IReadOnlyList<WorkerInfo> Workers, IReadOnlyList<RunningJob> Running)> ListAsync(CancellationToken cancellationToken)
    {
        var reply = await CallAsync(cancellationToken, "list").ConfigureAwait(false);
        var (workers, running) = (new List<WorkerInfo>(), new List<RunningJob>());
        for (var at = 3; at < reply.Length; at += 3)
        {
            var (name, seen) = ((string)reply[at]!, TimeSpan.FromMilliseconds((long)reply[at + 1]));
            var report = JsonSerializer.Deserialize((string)reply[at + 2]!, WorkerPoolJson.Default.WorkerReport)!;
            workers.Add(new WorkerInfo(name, report.Size, report.Running.Count, seen));
            running.AddRange(report.Running.Select(
                job => new RunningJob(job.Id, job.Job, job.Attempt, $"{name}/{job.Slot}", TimeSpan.FromMilliseconds(job.SinceMs) + seen)));
        }
        return (RedisPoolControl.Of(reply), [.. workers.OrderBy(worker => worker.Name, StringComparer.Ordinal)], running);
    }

    public ValueTask DisposeAsync() => _doorbell.DisposeAsync();

    private Task<RedisResult[]> CallAsync(CancellationToken cancellationToken, params RedisValue[] arguments) => _retry.RunAsync(
        async () => (RedisResult[])(await s_script.EvaluateAsync(_redis.GetDatabase(), _keys, arguments).ConfigureAwait(false))!,
        _options.RetryFor, _time.GetTimestamp(), cancellationToken).WaitAsync(cancellationToken);
}

/// <summary>What all processes of a pool are told.</summary>
/// <param name="IsClosed">Submits are refused.</param>
/// <param name="IsPaused">Workers hand back what they have and take nothing.</param>
/// <param name="Size">How many jobs a process runs at the same time, or 0 for what it is configured to.</param>
internal readonly record struct RedisPoolControl(bool IsClosed, bool IsPaused, int Size)
{
    public const string ClosedField = "closed";
    public const string PausedField = "paused";
    public const string SizeField = "size";

    public static RedisPoolControl Of(RedisResult[] reply) => new((int)reply[0] == 1, (int)reply[1] == 1, (int)reply[2]);
}
