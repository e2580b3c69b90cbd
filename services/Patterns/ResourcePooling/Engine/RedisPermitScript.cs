using System.Globalization;
using DistributedPatterns.Redis;
using StackExchange.Redis;

namespace DistributedPatterns.ResourcePooling.Engine;

/// <summary>Calls <c>permits.lua</c>.</summary>
internal sealed class RedisPermitScript : IAsyncDisposable
{
    private const string Bell = "turn";

    private static readonly RedisScript s_script = RedisScript.Load("ResourcePooling/permits.lua");

    private readonly IConnectionMultiplexer _redis;
    private readonly RedisPermitPoolOptions _options;
    private readonly RedisKey[] _keys;
    private readonly RedisChannel _bellChannel;
    private readonly RedisDoorbell _doorbell;

    public RedisPermitScript(IConnectionMultiplexer redis, string name, RedisPermitPoolOptions options, TimeProvider time)
    {
        (_redis, _options) = (redis, options);
        var tag = $"{{{options.KeyTag ?? name}}}";
        _keys = [$"{tag}:permits", $"{tag}:line", $"{tag}:instances"];
        _bellChannel = RedisChannel.Literal($"{tag}:bell");
        _doorbell = new RedisDoorbell(redis, _bellChannel, time);
    }

    public RedisDoorbell.Listener Listen() => _doorbell.Listen(Bell);

    /// <summary>Calls, and wakes the other processes when there is something for them.</summary>
    public async Task<RedisPermitReply> CallAsync(string op, string instance, params RedisValue[] arguments)
    {
        var reply = RedisPermitReply.Parse(await EvaluateAsync(op, instance, arguments).ConfigureAwait(false));
        if (reply.Wakes) await _redis.GetSubscriber().PublishAsync(_bellChannel, Bell, CommandFlags.FireAndForget).ConfigureAwait(false);
        return reply;
    }

    public async Task<PermitStats> StatsAsync()
    {
        var reply = (await EvaluateAsync("stats", "", []).ConfigureAwait(false)).Select(value => (long)value).ToArray();
        return new PermitStats(_options.Permits, (int)reply[3], (int)reply[1], (int)reply[5], reply[6], reply[7], reply[8], reply[9], reply[2]);
    }

    public ValueTask DisposeAsync() => _doorbell.DisposeAsync();

    private async Task<RedisResult[]> EvaluateAsync(string op, string instance, RedisValue[] arguments) => (RedisResult[])(await s_script.EvaluateAsync(
        _redis.GetDatabase(), _keys, [op, instance, _options.Permits, (long)_options.Lease.TotalMilliseconds, .. arguments]).ConfigureAwait(false))!;
}

/// <summary>What the script answers.</summary>
internal sealed record RedisPermitReply(long Answer, int Waiting, long Generation, int Held, bool Wakes, IReadOnlyList<(int Number, long Ticket, long Token)> Mine)
{
    public const long NotHeld = 0;
    public const long Elsewhere = 2;
    public const long NobodyWaits = 3;
    public const long IsOver = -1;

    public static RedisPermitReply Parse(RedisResult[] reply)
    {
        var mine = new (int, long, long)[(reply.Length - 5) / 3];
        for (var i = 0; i < mine.Length; i++)
            mine[i] = ((int)Number(reply[5 + (i * 3)]), Number(reply[6 + (i * 3)]), Number(reply[7 + (i * 3)]));
        return new RedisPermitReply((long)reply[0], (int)reply[1], (long)reply[2], (int)reply[3], (int)reply[4] == 1, mine);

        static long Number(RedisResult value) => long.Parse((string)value!, CultureInfo.InvariantCulture);
    }
}
