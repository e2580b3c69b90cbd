using System.Globalization;
using DistributedPatterns.Redis;
using Microsoft.Extensions.Options;
using StackExchange.Redis;

namespace DistributedPatterns.EventLoop.Engine;

/// <summary>What all processes share: who owns which partition (<c>partitions.lua</c>), and the partitions.</summary>
internal sealed class RedisLoopStore : IAsyncDisposable
{
    private const string OwnersBell = "owners";

    private static readonly RedisScript s_script = RedisScript.Load("EventLoop/partitions.lua");

    private readonly IConnectionMultiplexer _redis;
    private readonly RedisEventLoopOptions _options;
    private readonly TimeProvider _time;
    private readonly RedisRetry _retry;
    private readonly RedisKey[] _keys;
    private readonly RedisChannel _bellChannel;
    private readonly RedisDoorbell _doorbell;
    private bool _isChecked;

    public RedisLoopStore(IConnectionMultiplexer redis, IOptions<RedisEventLoopOptions> options, TimeProvider time)
    {
        (_redis, _options, _time, _retry) = (redis, options.Value, time, new RedisRetry(time));
        var tag = $"{{{_options.KeyTag}}}";
        _keys = [$"{tag}:owner", $"{tag}:epoch", $"{tag}:lease", $"{tag}:members"];
        _bellChannel = RedisChannel.Literal($"{tag}:bell");
        _doorbell = new RedisDoorbell(redis, _bellChannel, time);
        Partitions = [.. Enumerable.Range(0, _options.Partitions).Select(number => new RedisPartition(this, redis, number, _options, time, _retry))];
    }

    public IReadOnlyList<RedisPartition> Partitions { get; }

    /// <summary>Says who owns what, and refuses to go on when others count partitions differently.</summary>
    /// <returns>By partition: epoch, owner, and what is left of the lease.</returns>
    public async Task<(long Epoch, string? Owner, TimeSpan Left)[]> ListAsync(CancellationToken cancellationToken)
    {
        var reply = await _retry.RunAsync(() => CallOnceAsync("list", ""), _options.RetryFor, _time.GetTimestamp(), cancellationToken).WaitAsync(cancellationToken).ConfigureAwait(false);
        return [.. reply.Select(one => (long.Parse((string)one[0]!, CultureInfo.InvariantCulture), (string)one[1]! is { Length: > 0 } owner ? owner : null, TimeSpan.FromMilliseconds((long)one[2])))];
    }

    /// <summary>Finds out, before the first post, whether all count partitions alike.</summary>
    public async ValueTask CheckAsync(CancellationToken cancellationToken)
    {
        if (Volatile.Read(ref _isChecked)) return;
        await ListAsync(cancellationToken).ConfigureAwait(false);
        Volatile.Write(ref _isChecked, true);
    }

    /// <summary>Calls once: the next call says it all again.</summary>
    public async Task<RedisResult[]> CallOnceAsync(string op, string worker, params RedisValue[] arguments)
    {
        var reply = (RedisResult[])(await s_script.EvaluateAsync(
            _redis.GetDatabase(), _keys, [op, worker, _options.Partitions, (long)_options.Lease.TotalMilliseconds, .. arguments]).ConfigureAwait(false))!;
        if (reply is [{ Resp2Type: ResultType.Integer } code, var count] && (int)code < 0)
            throw new InvalidOperationException($"Patterns:EventLoop:Redis: Partitions is {_options.Partitions}, and '{_options.KeyTag}' has {(int)count} already. Keys belong to partitions by that number: keep it, or take another KeyTag.");
        return reply;
    }

    public RedisDoorbell.Listener ListenForOwners() => _doorbell.Listen(OwnersBell);

    public void RingOwners() => Ring(OwnersBell);

    internal RedisDoorbell.Listener Listen(string bell) => _doorbell.Listen(bell);

    internal void Ring(string bell) => _redis.GetSubscriber().Publish(_bellChannel, bell, CommandFlags.FireAndForget);

    public ValueTask DisposeAsync() => _doorbell.DisposeAsync();
}
