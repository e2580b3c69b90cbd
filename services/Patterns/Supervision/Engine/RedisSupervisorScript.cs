using DistributedPatterns.Redis;
using Microsoft.Extensions.Options;
using StackExchange.Redis;

namespace DistributedPatterns.Supervision.Engine;

/// <summary>Calls <c>supervisor.lua</c>: what all processes know of the children, and what the children keep.</summary>
internal sealed class RedisSupervisorScript : IChildStore, IAsyncDisposable
{
    private const string Bell = "turn";

    private static readonly RedisScript s_script = RedisScript.Load("Supervision/supervisor.lua");

    private readonly IConnectionMultiplexer _redis;
    private readonly RedisLeaseSupervisorOptions _options;
    private readonly ChildCatalog _catalog;
    private readonly TimeProvider _time;
    private readonly RedisRetry _retry;
    private readonly RedisKey[] _keys;
    private readonly RedisChannel _bellChannel;
    private readonly RedisDoorbell _doorbell;

    public RedisSupervisorScript(IConnectionMultiplexer redis, ChildCatalog catalog, IOptions<RedisLeaseSupervisorOptions> options, TimeProvider time)
    {
        (_redis, _catalog, _options, _time, _retry) = (redis, catalog, options.Value, time, new RedisRetry(time));
        var tag = $"{{{_options.KeyTag}}}";
        _keys = [$"{tag}:tree", $"{tag}:values"];
        _bellChannel = RedisChannel.Literal($"{tag}:bell");
        _doorbell = new RedisDoorbell(redis, _bellChannel, time);
    }

    /// <summary>Returns how the script names a strategy.</summary>
    public static string NameOf(SupervisionStrategy strategy) => strategy switch
    {
        SupervisionStrategy.OneForAll => "all",
        SupervisionStrategy.RestForOne => "rest",
        _ => "one",
    };

    /// <summary>Returns what the script's name of a strategy means.</summary>
    public static SupervisionStrategy StrategyOf(RedisResult name) => (string)name! switch
    {
        "all" => SupervisionStrategy.OneForAll,
        "rest" => SupervisionStrategy.RestForOne,
        _ => SupervisionStrategy.OneForOne,
    };

    /// <summary>Begins to listen for what others have changed.</summary>
    public RedisDoorbell.Listener Listen() => _doorbell.Listen(Bell);

    /// <summary>Tells the processes that there is something to do.</summary>
    public Task RingAsync() => _redis.GetSubscriber().PublishAsync(_bellChannel, Bell, CommandFlags.FireAndForget);

    /// <summary>Calls once: the next call says it all again.</summary>
    public async Task<RedisResult[]> CallOnceAsync(string op, string instance, params IEnumerable<RedisValue> arguments) =>
        (RedisResult[])(await s_script.EvaluateAsync(_redis.GetDatabase(), _keys, Arguments(op, instance, arguments)).ConfigureAwait(false))!;

    /// <summary>Calls until Redis answers, for as long as <see cref="RedisLeaseSupervisorOptions.RetryFor"/>.</summary>
    public Task<RedisResult[]> CallAsync(string op, CancellationToken cancellationToken, params RedisValue[] arguments)
    {
        var all = Arguments(op, "", arguments);
        return _retry.RunAsync(
            async () => (RedisResult[])(await s_script.EvaluateAsync(_redis.GetDatabase(), _keys, all).ConfigureAwait(false))!,
            _options.RetryFor, _time.GetTimestamp(), cancellationToken).WaitAsync(cancellationToken);
    }

    /// <inheritdoc/>
    public async ValueTask<string?> ReadAsync(string child, CancellationToken cancellationToken)
    {
        _catalog.PlaceOf(child);
        var kept = await _retry.RunAsync(
            () => _redis.GetDatabase().HashGetAsync(_keys[1], child), Timeout.InfiniteTimeSpan, 0, cancellationToken).WaitAsync(cancellationToken).ConfigureAwait(false);
        return ValueOf(kept);
    }

    /// <inheritdoc/>
    public async ValueTask WriteAsync(string child, long epoch, string value, CancellationToken cancellationToken)
    {
        _catalog.PlaceOf(child);
        // As long as the child's token allows: it is cancelled when the lease cannot be renewed, and a repeated write writes the same.
        var reply = await _retry.RunAsync(
            async () => (RedisResult[])(await s_script.EvaluateAsync(_redis.GetDatabase(), _keys, "write", child, epoch, value).ConfigureAwait(false))!,
            Timeout.InfiniteTimeSpan, 0, cancellationToken).WaitAsync(cancellationToken).ConfigureAwait(false);
        if ((int)reply[0] == 1) return;
        SupervisionTelemetry.Fenced(Diagnostics.Variants.Distributed, child);
        throw new ChildFencedException(child, epoch, (long)reply[1]);
    }

    /// <summary>Cuts the epoch off that a value is kept with.</summary>
    public static string? ValueOf(RedisValue kept) => (string?)kept is { Length: > 0 } text ? text[(text.IndexOf(' ', StringComparison.Ordinal) + 1)..] : null;

    public ValueTask DisposeAsync() => _doorbell.DisposeAsync();

    private RedisValue[] Arguments(string op, string instance, IEnumerable<RedisValue> more) =>
    [
        op, instance, Milliseconds(_options.Lease), _options.MaxRestarts, Milliseconds(_options.Within), Milliseconds(_options.FirstPause), Milliseconds(_options.LongestPause),
        Milliseconds(_options.StableAfter), Random.Shared.Next(1_000_001), NameOf(_options.Strategy), _catalog.All.Count,
        .. _catalog.All.SelectMany(child => (RedisValue[])[child.Name, KindOf(child.Options.Restart)]), .. more,
    ];

    private static string KindOf(ChildRestart restart) => restart switch
    {
        ChildRestart.Transient => "T",
        ChildRestart.Temporary => "M",
        _ => "P",
    };

    private static long Milliseconds(TimeSpan time) => (long)time.TotalMilliseconds;
}
