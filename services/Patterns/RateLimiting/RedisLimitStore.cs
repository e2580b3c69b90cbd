using DistributedPatterns.Redis;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using StackExchange.Redis;

namespace DistributedPatterns.RateLimiting;

/// <summary>What the limiters of a process share: the way to Redis, and whether it answers.</summary>
/// <remarks>
/// An answer is waited for as long as <see cref="RedisLimitStoreOptions.AnswerLimit"/> says, by those who ask when the server goes
/// away. From then on nobody is sent there until a probe in the background got an answer, so an outage costs each caller that
/// limit once at most. The connection is the caller's and is not disposed here.
/// </remarks>
public sealed partial class RedisLimitStore : IAsyncDisposable
{
    // Answers that mean "not now", not "wrong".
    private static readonly string[] s_unready = ["LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "BUSY", "OOM"];

    private readonly IConnectionMultiplexer _redis;
    private readonly RedisLimitStoreOptions _options;
    private readonly ILogger _logger;
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _gate = new();
    private Task _probing = Task.CompletedTask;
    private volatile bool _isAway;
    private long _outages;

    /// <summary>Makes a store on a connection.</summary>
    /// <exception cref="ArgumentException">An option is out of its range.</exception>
    public RedisLimitStore(IConnectionMultiplexer redis, RedisLimitStoreOptions? options = null, TimeProvider? time = null, ILogger<RedisLimitStore>? logger = null)
    {
        ArgumentNullException.ThrowIfNull(redis);
        _redis = redis;
        _options = OptionsGuard.Checked(options ?? new RedisLimitStoreOptions());
        Time = time ?? TimeProvider.System;
        _logger = logger ?? NullLogger<RedisLimitStore>.Instance;
    }

    /// <summary>Gets whether Redis answers, as far as is known.</summary>
    public LimiterState State => _isAway ? LimiterState.Degraded : LimiterState.Exact;

    /// <summary>Gets how many times Redis went away.</summary>
    public long Outages => Volatile.Read(ref _outages);

    internal TimeProvider Time { get; }

    /// <summary>Gets how long it is worth to wait before asking again while Redis is away.</summary>
    internal TimeSpan ProbeEvery => _options.ProbeEvery;

    internal RedisDoorbell DoorbellOf(string channel) => new(_redis, RedisChannel.Literal(channel), Time);

    internal Task RingAsync(string channel, string message) =>
        _redis.GetSubscriber().PublishAsync(RedisChannel.Literal(channel), message, CommandFlags.FireAndForget);

    /// <summary>Runs a script within the limit, or returns nothing while Redis is away. It may have run all the same.</summary>
    /// <exception cref="OperationCanceledException">The caller left; the script may have run.</exception>
    /// <exception cref="RedisServerException">The server refuses the script: a mistake, not an outage.</exception>
    internal async ValueTask<RedisResult[]?> TryEvaluateAsync(RedisScript script, RedisKey[] keys, RedisValue[] arguments, CancellationToken cancellationToken)
    {
        if (_isAway) return null;
        Task<RedisResult>? call = null;
        try
        {
            call = script.EvaluateAsync(_redis.GetDatabase(), keys, arguments);
            return (RedisResult[])(await call.WaitAsync(_options.AnswerLimit, Time, cancellationToken).ConfigureAwait(false))!;
        }
        catch (RedisServerException e) when (!s_unready.Any(word => e.Message.StartsWith(word, StringComparison.Ordinal)))
        {
            throw;
        }
        catch (Exception e) when (e is RedisException or TimeoutException)
        {
            if (call is not null) Abandon(call);
            BeginOutage(e);
            return null;
        }
        catch (OperationCanceledException)
        {
            Abandon(call!);
            throw;
        }
    }

    /// <summary>Stops probing.</summary>
    public async ValueTask DisposeAsync()
    {
        Task probing;
        lock (_gate)
        {
            if (_stop.IsCancellationRequested) return;
            _stop.Cancel();
            probing = _probing;
        }
        await probing.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _stop.Dispose();
    }

    private void BeginOutage(Exception why)
    {
        lock (_gate)
        {
            if (_isAway || _stop.IsCancellationRequested) return;
            _isAway = true;
            _outages++;
            _probing = ProbeAsync(_stop.Token);
        }
        LogAway(why.Message);
    }

    private async Task ProbeAsync(CancellationToken stop)
    {
        var since = Time.GetTimestamp();
        while (true)
        {
            // With jitter: the instances that lost it together do not all come back at once.
            await Task.Delay(_options.ProbeEvery * (0.5 + (Random.Shared.NextDouble() / 2)), Time, stop).ConfigureAwait(false);
            var ping = PingAsync();
            try
            {
                await ping.WaitAsync(_options.AnswerLimit, Time, stop).ConfigureAwait(false);
                break;
            }
            catch (Exception e) when (e is RedisException or TimeoutException)
            {
                Abandon(ping);
            }
        }
        _isAway = false;
        LogBack(Time.GetElapsedTime(since));
    }

    private async Task PingAsync() => await _redis.GetDatabase().PingAsync().ConfigureAwait(false);

    /// <summary>Leaves a call to itself: its outcome, which may be an error, interests nobody any more.</summary>
    private static void Abandon(Task call) => _ = ObserveAsync(call);

    private static async Task ObserveAsync(Task call) => await call.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);

    [LoggerMessage(LogLevel.Warning, "Redis does not answer, the rate limiters follow their outage policies: {Reason}")]
    private partial void LogAway(string reason);

    [LoggerMessage(LogLevel.Information, "Redis answers again after {Outage}, the rate limiters are exact")]
    private partial void LogBack(TimeSpan outage);
}
