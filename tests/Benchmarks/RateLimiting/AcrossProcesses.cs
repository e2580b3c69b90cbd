using DistributedPatterns.Benchmarks.Harness;
using DistributedPatterns.RateLimiting;
using StackExchange.Redis;

namespace DistributedPatterns.Benchmarks.RateLimiting;

/// <summary>Callers of one process that share a connection, and one limit in Redis: each asks, waits for the answer and asks again.</summary>
internal abstract class RedisCallers(string name, int operations, SharedServices shared) : ThroughputContender(name, operations)
{
    public const int Count = 64;

    public sealed override async Task<string?> SetUpAsync()
    {
        Open((await shared.StartAsync()).Connection);
        return null;
    }

    public override ValueTask TearDownAsync() => shared.StopAsync();

    public sealed override async Task<TimeSpan?> RunAsync(int operations)
    {
        var each = operations / Count;
        var admitted = await Task.WhenAll(Enumerable.Range(0, Count).Select(_ => Task.Run(async () =>
        {
            var count = 0;
            for (var i = 0; i < each; i++)
                if (await AskAsync()) count++;
            return count;
        })));
        return admitted.Sum() == each * Count ? null : throw new InvalidOperationException($"{Name}: {admitted.Sum()} of {each * Count} were admitted.");
    }

    protected abstract void Open(IConnectionMultiplexer redis);

    protected abstract ValueTask<bool> AskAsync();
}

/// <summary>Ours.</summary>
internal sealed class OurGcra(string name, int operations, SharedServices shared, int borrow = 0) : RedisCallers(name, operations, shared)
{
    private RedisLimitStore _store = null!;
    private RedisGcraRateLimiter _limiter = null!;

    public override async ValueTask TearDownAsync()
    {
        if (_limiter is not null) await _limiter.DisposeAsync();
        if (_store is not null) await _store.DisposeAsync();
        await base.TearDownAsync();
    }

    protected override void Open(IConnectionMultiplexer redis)
    {
        _store = new RedisLimitStore(redis, new RedisLimitStoreOptions { AnswerLimit = TimeSpan.FromSeconds(10) });
        _limiter = new RedisGcraRateLimiter(
            _store,
            new RedisLimitOptions { Name = Name, WhenDown = OutagePolicy.Closed },
            new RedisGcraOptions { Limits = { new RateLimitRule { Permits = 100_000_000, Burst = 100_000_000 } }, Borrow = borrow });
    }

    protected override async ValueTask<bool> AskAsync()
    {
        using var lease = await _limiter.AcquireAsync();
        return lease.IsAcquired;
    }
}

/// <summary>The token bucket that RedisRateLimiting publishes, as a bare script: two keys, whole periods, the caller's clock.</summary>
internal sealed class TokenBucketScript(string name, int operations, SharedServices shared) : RedisCallers(name, operations, shared)
{
    private const string Script = """
        local limit, rate, period, cost, now = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
        local state = redis.call('MGET', KEYS[1], KEYS[2])
        local tokens, refilled = tonumber(state[1]) or limit, tonumber(state[2]) or now
        local periods = math.floor(math.max(0, now - refilled) / period)
        tokens = math.min(limit, tokens + periods * rate)
        refilled = refilled + periods * period
        local allowed = tokens >= cost
        if allowed then tokens = tokens - cost end
        local life = math.ceil(math.ceil(limit / rate) * period / 1000)
        redis.call('SET', KEYS[1], string.format('%.0f', tokens), 'EX', life)
        redis.call('SET', KEYS[2], string.format('%.0f', refilled), 'EX', life)
        return {allowed and 1 or 0, math.floor(tokens)}
        """;

    private readonly RedisKey[] _keys = [$"{{{name}}}:tokens", $"{{{name}}}:refilled"];
    private IDatabase _database = null!;

    protected override void Open(IConnectionMultiplexer redis) => _database = redis.GetDatabase();

    protected override async ValueTask<bool> AskAsync()
    {
        var now = TimeProvider.System.GetUtcNow().ToUnixTimeMilliseconds();
        return (int)((RedisResult[])(await _database.ScriptEvaluateAsync(Script, _keys, [100_000_000, 100_000_000, 1_000, 1, now]))!)[0] == 1;
    }
}

/// <summary>What any answer from Redis costs: a counter without a limit.</summary>
internal sealed class Increment(string name, int operations, SharedServices shared) : RedisCallers(name, operations, shared)
{
    private IDatabase _database = null!;

    protected override void Open(IConnectionMultiplexer redis) => _database = redis.GetDatabase();

    protected override async ValueTask<bool> AskAsync() => await _database.StringIncrementAsync(Name) > 0;
}
