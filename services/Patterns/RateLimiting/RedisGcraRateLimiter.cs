using DistributedPatterns.Redis;
using StackExchange.Redis;

namespace DistributedPatterns.RateLimiting;

/// <summary>GCRA over all processes: one to eight limits in one script, all or nothing, exact to the microsecond of the server's clock.</summary>
/// <remarks>
/// In any time t of the server's clock at most burst + rate × t permits are admitted, however many processes ask and whatever
/// their clocks show; with <see cref="RedisGcraOptions.Borrow"/> that many more for each instance. Idle keys vanish when they are full.
/// <para>Callers that come while a call to Redis is under way share the next one; the script decides them in their order, so each
/// gets the answer that it would have got alone.</para>
/// <para>Waiting: the heads of the processes' lines book the next free moments in Redis, so across processes too nobody is
/// overtaken for ever. A head that gives up returns its booking; if another was booked after it, the moment stays empty.</para>
/// </remarks>
public sealed class RedisGcraRateLimiter : RedisRateLimiter
{
    private const long LongestBooking = 3_600_000_000; // µs; further ahead it asks again
    private const int MostTakesPerCall = 128; // some hundred microseconds of the server's time
    private const int VerdictFields = 5;

    private static readonly RedisScript s_script = RedisScript.Load("RateLimiting/gcra.lua");

    private readonly RateLimitRule[] _rules;
    private readonly RedisKey[] _keys;
    private readonly CallBatcher<int, RedisVerdict?> _takes;
    private readonly BorrowedPermits? _borrowed;

    /// <summary>Makes a limiter.</summary>
    /// <exception cref="ArgumentException">An option is out of its range.</exception>
    public RedisGcraRateLimiter(RedisLimitStore store, RedisLimitOptions where, RedisGcraOptions options)
        : base(store, where, LeastBurst(options), OptionsGuard.Checked(options).QueueLimit)
    {
        _rules = [.. options.Limits];
        _keys = [.. _rules.Select((_, i) => (RedisKey)$"{{{Name}}}:gcra:{i}")];
        _takes = new(MostTakesPerCall, int.MaxValue, static _ => 1, store.Time, (costs, _) => TakeAsync(costs));
        if (options.Borrow > Burst) throw new ArgumentException($"Borrow is {options.Borrow}, more than the burst of {Burst}.", nameof(options));
        if (options.Borrow > 0) _borrowed = new BorrowedPermits(options.Borrow, TakeForStockAsync, store.Time);
    }

    /// <summary>Gets how many borrowed permits lie here unused.</summary>
    public int Borrowed => _borrowed?.Stock ?? 0;

    private protected override long Available => base.Available + Borrowed;

    private protected override bool TryTakeHere(int permits) => _borrowed?.TryTake(permits) ?? false;

    private protected override async ValueTask<RedisVerdict?> AskAsync(int permits, string id, Asking how, CancellationToken cancellationToken)
    {
        if (_borrowed is not null && await _borrowed.TryRefillAndTakeAsync(permits, cancellationToken).ConfigureAwait(false))
            return new RedisVerdict(true, TimeSpan.Zero, Available);
        // 0 permits asks whether one is there.
        return how == Asking.InLine ? await EvaluateAsync("reserve", LongestBooking, Math.Max(1, permits), [], cancellationToken).ConfigureAwait(false)
            : permits == 0 ? await EvaluateAsync("peek", 0, 1, [], cancellationToken).ConfigureAwait(false)
            : await _takes.AddAsync(permits, cancellationToken).ConfigureAwait(false);
    }

    private protected override async ValueTask GiveUpAsync(int permits, string id, RedisVerdict? promised)
    {
        if (promised is { Admitted: true, Claim: RedisValue[] tickets })
            await EvaluateAsync("return", 0, Math.Max(1, permits), tickets, CancellationToken.None).ConfigureAwait(false);
    }

    internal override async ValueTask<TimeSpan?> RetryAfterAsync(int permits, CancellationToken cancellationToken) =>
        (await EvaluateAsync("peek", 0, Math.Max(1, permits), [], cancellationToken).ConfigureAwait(false))?.Wait;

    private protected override LocalRateLimiter CreateShare(int instances, int queueLimit)
    {
        var shares = _rules.Select(rule => LocalGcraRateLimiter.ShareOf(rule, instances, _rules.Length == 1 ? queueLimit : 0, Store.Time)).ToArray();
        return shares.Length == 1 ? shares[0] : new LocalCompositeRateLimiter(shares, queueLimit, Store.Time);
    }

    /// <inheritdoc/>
    protected override async ValueTask DisposeAsyncCore()
    {
        await base.DisposeAsyncCore().ConfigureAwait(false);
        if (_borrowed?.Close() is { Unused: > 0, Tickets: { } tickets } rest)
            await EvaluateAsync("return", 0, rest.Unused, tickets, CancellationToken.None).ConfigureAwait(false);
    }

    private static int LeastBurst(RedisGcraOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        if (options.Limits.Count is < 1 or > 8) throw new ArgumentException($"From 1 to 8 limits can be one, not {options.Limits.Count}.", nameof(options));
        foreach (var rule in options.Limits)
        {
            OptionsGuard.Checked(rule);
            if (rule.Burst * Microseconds(rule.Period) >= Math.Pow(2, 53))
                throw new ArgumentException($"A burst of {rule.Burst} at a period of {rule.Period} is beyond the exact integers of Lua: burst × period in µs must be below 2^53.", nameof(options));
        }
        return options.Limits.Min(rule => rule.Burst);
    }

    private async ValueTask<(RedisValue[]? Tickets, TimeSpan? Wait)> TakeForStockAsync(int permits, CancellationToken cancellationToken)
    {
        var verdict = await EvaluateAsync("reserve", 0, permits, [], cancellationToken).ConfigureAwait(false);
        return verdict is { Admitted: true } ? ((RedisValue[])verdict.Claim!, null) : (null, verdict?.Wait);
    }

    private async Task<RedisVerdict?[]> TakeAsync(IReadOnlyList<int> costs)
    {
        var reply = await CallAsync("take", 0, costs[0], [.. costs.Skip(1).Select(cost => (RedisValue)cost)], CancellationToken.None).ConfigureAwait(false);
        return [.. costs.Select((_, i) => reply is null ? null : VerdictOf(reply.AsSpan(i * VerdictFields)))];
    }

    private async ValueTask<RedisVerdict?> EvaluateAsync(string operation, long longestWait, int cost, RedisValue[] tickets, CancellationToken cancellationToken)
    {
        var reply = await CallAsync(operation, longestWait, cost, tickets, cancellationToken).ConfigureAwait(false);
        if (reply is null) return null;
        var verdict = VerdictOf(reply);
        return verdict.Admitted && operation == "reserve"
            ? verdict with { Claim = reply[VerdictFields..].Select(ticket => (RedisValue)ticket).ToArray() }
            : verdict;
    }

    /// <summary>Runs the script; returns nothing while Redis is away.</summary>
    /// <param name="rest">Tickets to return, or the costs of further requests.</param>
    private ValueTask<RedisResult[]?> CallAsync(string operation, long longestWait, int cost, RedisValue[] rest, CancellationToken cancellationToken)
    {
        var arguments = new RedisValue[2 + (4 * _rules.Length) + rest.Length];
        (arguments[0], arguments[1]) = (operation, longestWait);
        for (var i = 0; i < _rules.Length; i++)
        {
            var at = 2 + (4 * i);
            (arguments[at], arguments[at + 1], arguments[at + 2], arguments[at + 3]) = (_rules[i].Permits, Microseconds(_rules[i].Period), _rules[i].Burst, cost);
        }
        rest.CopyTo(arguments, 2 + (4 * _rules.Length));
        return Store.TryEvaluateAsync(s_script, _keys, arguments, cancellationToken);
    }

    private static RedisVerdict VerdictOf(ReadOnlySpan<RedisResult> reply) => new(
        (long)reply[0] == 1, TimeSpan.FromMicroseconds(Math.Max(0, (long)reply[2])), (long)reply[1], TimeSpan.FromMicroseconds((long)reply[3]));

    private static long Microseconds(TimeSpan time) => time.Ticks / TimeSpan.TicksPerMicrosecond;
}
