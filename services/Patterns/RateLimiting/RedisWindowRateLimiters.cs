using DistributedPatterns.Redis;
using StackExchange.Redis;

namespace DistributedPatterns.RateLimiting;

/// <summary>Two windows counted side by side in Redis, the last one weighted: O(1) memory, approximate.</summary>
/// <remarks>
/// In any time t of the server's clock at most permits × (t / window, rounded down, + 2). For an exact limit use
/// <see cref="RedisGcraRateLimiter"/> or <see cref="RedisWindowLogRateLimiter"/>. Across processes those who wait are in no order.
/// </remarks>
public sealed class RedisWindowCounterRateLimiter : RedisRateLimiter
{
    private static readonly RedisScript s_script = RedisScript.Load("RateLimiting/window_counter.lua");

    private readonly WindowOptions _options;
    private readonly RedisKey[] _keys;

    /// <summary>Makes a limiter. Windows count whole milliseconds.</summary>
    /// <exception cref="ArgumentException">An option is out of its range.</exception>
    public RedisWindowCounterRateLimiter(RedisLimitStore store, RedisLimitOptions where, WindowOptions options)
        : base(store, where, OptionsGuard.Checked(options).Permits, options.QueueLimit) => (_options, _keys) = (options, [$"{{{Name}}}:counter"]);

    private protected override async ValueTask<RedisVerdict?> AskAsync(int permits, string id, Asking how, CancellationToken cancellationToken)
    {
        RedisValue[] arguments = [_options.Permits, (long)_options.Window.TotalMilliseconds, permits];
        var reply = await Store.TryEvaluateAsync(s_script, _keys, arguments, cancellationToken).ConfigureAwait(false);
        return reply is null ? null
            : new RedisVerdict((long)reply[0] == 1, TimeSpan.FromMilliseconds(Math.Max(0, (long)reply[2])), (long)reply[1]);
    }

    private protected override LocalRateLimiter CreateShare(int instances, int queueLimit) =>
        new LocalWindowCounterRateLimiter(WindowShare.Of(_options, instances, queueLimit), Store.Time);
}

/// <summary>The times of all permits of a window in Redis: exact, memory of a permit each.</summary>
/// <remarks>
/// In any time t of the server's clock at most permits × (t / window, rounded down, + 1). A request has an id, so a script
/// that ran twice for it admitted once. Across processes those who wait are in no order.
/// </remarks>
public sealed class RedisWindowLogRateLimiter : RedisRateLimiter
{
    /// <summary>The most permits of a window: the server keeps an entry for each.</summary>
    public const int MostPermits = 10_000;

    private static readonly RedisScript s_script = RedisScript.Load("RateLimiting/window_log.lua");

    private readonly WindowOptions _options;
    private readonly RedisKey[] _keys;

    /// <summary>Makes a limiter. Windows count whole milliseconds.</summary>
    /// <exception cref="ArgumentException">An option is out of its range, or a window has more than <see cref="MostPermits"/>.</exception>
    public RedisWindowLogRateLimiter(RedisLimitStore store, RedisLimitOptions where, WindowOptions options)
        : base(store, where, OptionsGuard.Checked(options).Permits, options.QueueLimit)
    {
        if (options.Permits > MostPermits)
            throw new ArgumentException($"A window log holds at most {MostPermits:N0} permits, not {options.Permits:N0}: use GCRA.", nameof(options));
        (_options, _keys) = (options, [$"{{{Name}}}:log"]);
    }

    private protected override async ValueTask<RedisVerdict?> AskAsync(int permits, string id, Asking how, CancellationToken cancellationToken)
    {
        RedisValue[] arguments = [_options.Permits, (long)_options.Window.TotalMilliseconds, permits, id];
        var reply = await Store.TryEvaluateAsync(s_script, _keys, arguments, cancellationToken).ConfigureAwait(false);
        return reply is null ? null
            : new RedisVerdict((long)reply[0] == 1, TimeSpan.FromMicroseconds(Math.Max(0, (long)reply[2])), (long)reply[1]);
    }

    private protected override LocalRateLimiter CreateShare(int instances, int queueLimit) =>
        new LocalWindowLogRateLimiter(WindowShare.Of(_options, instances, queueLimit), Store.Time);
}

internal static class WindowShare
{
    public static WindowOptions Of(WindowOptions whole, int instances, int queueLimit) =>
        new() { Permits = Math.Max(1, whole.Permits / instances), Window = whole.Window, QueueLimit = queueLimit };
}
