using System.Globalization;
using DistributedPatterns.Redis;
using StackExchange.Redis;

namespace DistributedPatterns.PublishSubscribe;

/// <summary>The calls of <c>topic.lua</c>, on bytes. Each may be sent again.</summary>
internal sealed class RedisTopicLog
{
    /// <summary>How many entries a read takes at most.</summary>
    public const int MaxRead = 256;

    /// <summary>How many groups a topic has at most.</summary>
    public const int MaxGroups = 64;

    /// <summary>What the doorbell says.</summary>
    public const string Bell = "m";

    private static readonly RedisScript s_script = RedisScript.Load("PublishSubscribe/topic.lua");

    private readonly IConnectionMultiplexer _redis;
    private readonly RedisRetainedTopicOptions _options;
    private readonly TimeProvider _clock;
    private readonly RedisRetry _retry;
    private readonly RedisKey[] _keys;
    private string _publisher = NewName();
    private long _number;

    public RedisTopicLog(IConnectionMultiplexer redis, string topic, RedisRetainedTopicOptions options, TimeProvider clock)
    {
        (_redis, _options, _clock, _retry) = (redis, options, clock, new RedisRetry(clock));
        var tag = TagOf(topic, options);
        _keys = [$"{tag}:log", $"{tag}:meta", $"{tag}:seen"];
        BellChannel = RedisChannel.Literal($"{tag}:bell");
    }

    public RedisChannel BellChannel { get; }

    public static string TagOf(string topic, RedisTopicOptions options) => $"{{{options.KeyTag ?? "topic." + topic}}}";

    /// <summary>Appends messages and rings. One call at a time: a call's number is known to Redis only once it is answered.</summary>
    /// <param name="since">When the first of the publishers asked.</param>
    /// <returns>Where the last message stands.</returns>
    public async Task<TopicPosition> AppendAsync(IReadOnlyList<byte[]> messages, long since)
    {
        var arguments = new RedisValue[5 + messages.Count];
        (arguments[0], arguments[1], arguments[4]) = ("append", _options.Retain, (long)_options.RememberPublishersFor.TotalMilliseconds);
        for (var i = 0; i < messages.Count; i++) arguments[5 + i] = messages[i];
        _number++;
        try
        {
            while (true)
            {
                (arguments[2], arguments[3]) = (_publisher, _number);
                var reply = await _retry.RunAsync(() => EvaluateAsync(arguments), _options.RetryFor, since, CancellationToken.None).ConfigureAwait(false);
                if ((int)reply[0] > 0)
                {
                    // Outside of the script, and lost without harm: whoever waits looks by itself.
                    await _redis.GetSubscriber().PublishAsync(BellChannel, Bell, CommandFlags.FireAndForget).ConfigureAwait(false);
                    return PositionOf(reply.AsSpan(1));
                }
                BeginAnew(); // Redis has forgotten this publisher, or the end of its log
                _number = 1;
            }
        }
        catch
        {
            BeginAnew(); // whether the number is taken is not known
            throw;
        }
    }

    /// <summary>Reads what stands behind a place; tries as long as the token allows.</summary>
    public async Task<LogReply> ReadAsync(TopicPosition after, CancellationToken cancellationToken)
    {
        var reply = await CallAsync(Timeout.InfiniteTimeSpan, cancellationToken, "read", after.Place, MaxRead).ConfigureAwait(false);
        return new LogReply(PositionOf(reply), Array.ConvertAll(reply[3..], static entry => (byte[])entry!));
    }

    /// <summary>Returns where to read behind, to read the last so many and all that follow.</summary>
    public async Task<TopicPosition> LastAsync(int count, TimeSpan retryFor, CancellationToken cancellationToken) =>
        PositionOf(await CallAsync(retryFor, cancellationToken, "last", count).ConfigureAwait(false));

    /// <summary>Takes, renews or asks for the right to relay for a group, and keeps how far it is.</summary>
    /// <returns>How far the group is, and whether it is this owner's to relay.</returns>
    /// <exception cref="InvalidOperationException">The topic has as many groups as it may.</exception>
    public async Task<(bool IsMine, TopicPosition Position)> RelayAsync(string group, string owner, TimeSpan lease, TopicPosition? position, CancellationToken cancellationToken)
    {
        var reply = await CallAsync(
            Timeout.InfiniteTimeSpan, cancellationToken, "relay", group, owner, (long)lease.TotalMilliseconds, position?.ToString() ?? "", MaxGroups).ConfigureAwait(false);
        return (int)reply[0] < 0
            ? throw new InvalidOperationException($"The topic has {MaxGroups} groups; group '{group}' would be one more.")
            : ((int)reply[0] == 1, TopicPosition.Parse((string)reply[1]!, CultureInfo.InvariantCulture));
    }

    /// <summary>Counts what is in the log.</summary>
    public Task<long> CountAsync(CancellationToken cancellationToken) =>
        _retry.RunAsync(() => _redis.GetDatabase().SortedSetLengthAsync(_keys[0]), _options.RetryFor, _clock.GetTimestamp(), cancellationToken);

    private static TopicPosition PositionOf(ReadOnlySpan<RedisResult> parts) => new((long)parts[0], (long)parts[1], (long)parts[2]);

    private static string NewName() => Guid.NewGuid().ToString("N");

    private Task<RedisResult[]> CallAsync(TimeSpan budget, CancellationToken cancellationToken, params RedisValue[] arguments) =>
        _retry.RunAsync(() => EvaluateAsync(arguments), budget, _clock.GetTimestamp(), cancellationToken);

    private async Task<RedisResult[]> EvaluateAsync(RedisValue[] arguments) =>
        (RedisResult[])(await s_script.EvaluateAsync(_redis.GetDatabase(), _keys, arguments).ConfigureAwait(false))!;

    private void BeginAnew() => (_publisher, _number) = (NewName(), 0);
}

/// <summary>What a read of the log returned.</summary>
/// <param name="Head">Where the log ends.</param>
internal sealed record LogReply(TopicPosition Head, byte[][] Entries);
