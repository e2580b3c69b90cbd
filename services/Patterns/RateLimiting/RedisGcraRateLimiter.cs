using DistributedPatterns.Redis;
using StackExchange.Redis;

namespace DistributedPatterns.RateLimiting;

/// <summary>GCRA over all processes: one to eight limits in one script, all or nothing, exact to the microsecond of the server's clock.</summary>
/// <remarks>
/// In any time t of the server's clock at most burst + rate × t permits are admitted, however many processes ask and whatever
/// their clocks show; with <see cref="RedisGcraOptions.Borrow"/> that many more for each instance. Idle keys vanish when they are full.
/// <para>Waiting: the heads of the processes' lines book the next free moments in Redis, so across processes too nobody is
/// overtaken for ever. A head that gives up returns its booking; if another was booked after it, the moment stays empty.</para>
/// </remarks>
public sealed class RedisGcraRateLimiter : RedisRateLimiter
{
    private const long LongestBooking = 3_600_000_000; // µs; further ahead it asks again

    private static readonly RedisScript s_script = RedisScript.Load("RateLimiting/gcra.lua");

    private readonly RateLimitRule[] _rules;
    private readonly RedisKey[] _keys;
    private readonly BorrowedPermits? _borrowed;

    /// <summary>Makes a limiter.</summary>
    /// <exception cref="ArgumentException">An option is out of its range.</exception>
    public RedisGcraRateLimiter(RedisLimitStore store, RedisLimitOptions where, RedisGcraOptions options)
        : base(store, where, LeastBurst(options), OptionsGuard.Checked(options).QueueLimit)
    {
        _rules = [.. options.Limits];
        _keys = [.. _rules.Select((_, i) => (RedisKey)$"{{{Name}}}:gcra:{i}")];
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
            : await EvaluateAsync("take", 0, permits, [], cancellationToken).ConfigureAwait(false);
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

    private async ValueTask<RedisVerdict?> EvaluateAsync(string operation, long longestWait, int cost, RedisValue[] tickets, CancellationToken cancellationToken)
    {
        var arguments = new RedisValue[2 + (4 * _rules.Length) + tickets.Length];
        (arguments[0], arguments[1]) = (operation, longestWait);
        for (var i = 0; i < _rules.Length; i++)
        {
            var at = 2 + (4 * i);
            (arguments[at], arguments[at + 1], arguments[at + 2], arguments[at + 3]) = (_rules[i].Permits, Microseconds(_rules[i].Period), _rules[i].Burst, cost);
        }
        tickets.CopyTo(arguments, 2 + (4 * _rules.Length));
        var reply = await Store.TryEvaluateAsync(s_script, _keys, arguments, cancellationToken).ConfigureAwait(false);
        if (reply is null) return null;
        var admitted = (long)reply[0] == 1;
        return new RedisVerdict(
            admitted, TimeSpan.FromMicroseconds(Math.Max(0, (long)reply[2])), (long)reply[1], TimeSpan.FromMicroseconds((long)reply[3]),
            admitted && operation == "reserve" ? reply[5..].Select(ticket => (RedisValue)ticket).ToArray() : null);
    }

    private static long Microseconds(TimeSpan time) => time.Ticks / TimeSpan.TicksPerMicrosecond;
}
