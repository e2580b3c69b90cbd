using DistributedPatterns.Redis;
using StackExchange.Redis;

namespace DistributedPatterns.SingleFlight.Engine;

/// <summary>Calls <c>flight.lua</c>, and rings for those who wait in other processes.</summary>
internal sealed class RedisFlightScript(IConnectionMultiplexer redis, RedisSingleFlightOptions options, TimeProvider time) : IAsyncDisposable
{
    private static readonly RedisScript s_script = RedisScript.Load("SingleFlight/flight.lua");

    private readonly RedisChannel _channel = RedisChannel.Literal($"{{{options.KeyTag}}}:bell");
    private readonly RedisDoorbell _doorbell = new(redis, RedisChannel.Literal($"{{{options.KeyTag}}}:bell"), time);
    private readonly RedisRetry _retry = new(time);
    private readonly long _leaseMs = (long)options.Lease.TotalMilliseconds;

    public TimeProvider Time => time;

    /// <summary>Returns where a flight lies: each has a hash tag of its own, so that flights spread over a cluster.</summary>
    public RedisFlightPlace PlaceOf(string work, string key)
    {
        var name = $"{work}:{key}";
        var tag = $"{{{options.KeyTag}:{name}}}";
        return new RedisFlightPlace(name, [$"{tag}:run", $"{tag}:result", $"{tag}:waiters"]);
    }

    /// <summary>Begins to listen for news of a flight.</summary>
    public RedisDoorbell.Listener Listen(RedisFlightPlace place) => _doorbell.Listen(place.Name);

    /// <summary>Tells all processes that there is news of a flight. It may get lost; who waits also looks by itself.</summary>
    public Task RingAsync(RedisFlightPlace place) => redis.GetSubscriber().PublishAsync(_channel, place.Name, CommandFlags.FireAndForget);

    /// <summary>Calls once.</summary>
    public async Task<RedisResult[]> CallAsync(RedisFlightPlace place, string op, string owner, params RedisValue[] more) =>
        (RedisResult[])(await s_script.EvaluateAsync(redis.GetDatabase(), place.Keys, [op, owner, _leaseMs, .. more]).ConfigureAwait(false))!;

    /// <summary>Calls until Redis answers, at most for <see cref="RedisSingleFlightOptions.RetryFor"/>.</summary>
    public Task<RedisResult[]> InsistAsync(RedisFlightPlace place, string op, string owner, CancellationToken cancellationToken, params RedisValue[] more) =>
        InsistAsync(static () => { }, place, op, owner, cancellationToken, more);

    /// <inheritdoc cref="InsistAsync(RedisFlightPlace, string, string, CancellationToken, RedisValue[])"/>
    /// <param name="sending">Told before each attempt: a lease counts from the last.</param>
    public Task<RedisResult[]> InsistAsync(Action sending, RedisFlightPlace place, string op, string owner, CancellationToken cancellationToken, params RedisValue[] more) =>
        _retry.RunAsync(
            () =>
            {
                sending();
                return CallAsync(place, op, owner, more);
            }, options.RetryFor, time.GetTimestamp(), cancellationToken);

    public ValueTask DisposeAsync() => _doorbell.DisposeAsync();
}

/// <summary>A flight's name on the doorbell, and its keys.</summary>
internal sealed record RedisFlightPlace(string Name, RedisKey[] Keys);
