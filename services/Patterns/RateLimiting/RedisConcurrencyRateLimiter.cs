using System.Collections.Concurrent;
using System.Threading.RateLimiting;
using DistributedPatterns.Redis;
using StackExchange.Redis;

namespace DistributedPatterns.RateLimiting;

/// <summary>At most so many permits held at the same time over all processes, each under a lease that this process renews.</summary>
/// <remarks>
/// Dispose the lease to give its permits back. When the process dies they come back after
/// <see cref="RedisConcurrencyOptions.Lease"/>. However long the work takes, one task renews its lease every third of that, so
/// no work can hold it up; when that fails in time <see cref="RateLimitMetadata.LeaseLost"/> fires, and from then on others may
/// hold the permits too: what must not run twice at a time has to be fenced where it writes.
/// <para>Waiting: over all processes in the order of arrival, served at the latest 250 ms after permits came back, at once where the doorbell is heard.</para>
/// </remarks>
public sealed class RedisConcurrencyRateLimiter : RedisRateLimiter
{
    private const string PermitsFree = "free";

    private static readonly RedisScript s_script = RedisScript.Load("RateLimiting/concurrency.lua");

    private readonly RedisConcurrencyOptions _options;
    private readonly RedisKey[] _keys;
    private readonly string _bell;
    private readonly RedisDoorbell _doorbell;
    private readonly ConcurrentDictionary<RedisConcurrencyLease, bool> _leases = new();
    private readonly Lock _gate = new();
    private Task? _renewing;

    /// <summary>Makes a limiter.</summary>
    /// <exception cref="ArgumentException">An option is out of its range.</exception>
    public RedisConcurrencyRateLimiter(RedisLimitStore store, RedisLimitOptions where, RedisConcurrencyOptions options)
        : base(store, where, OptionsGuard.Checked(options).Permits, options.QueueLimit)
    {
        _options = options;
        _keys = [$"{{{Name}}}:info", $"{{{Name}}}:holders", $"{{{Name}}}:waiters", $"{{{Name}}}:seen"];
        _bell = $"{{{Name}}}:bell";
        _doorbell = store.DoorbellOf(_bell);
    }

    /// <summary>Gets how many leases this process holds.</summary>
    public int Held => _leases.Count;

    internal TimeSpan Lease => _options.Lease;

    /// <summary>Gets how long a waiter that died keeps its place in the line.</summary>
    internal int WaitTtlMs { get; init; } = 3_000;

    private protected override async ValueTask<RedisVerdict?> AskAsync(int permits, string id, Asking how, CancellationToken cancellationToken)
    {
        var sent = Store.Time.GetTimestamp();
        var reply = await EvaluateAsync(how == Asking.Once ? "try" : "acquire", id, cancellationToken,
            _options.Permits, LeaseMs, WaitTtlMs, permits).ConfigureAwait(false);
        if (reply is null) return null;
        var free = (long)reply[2];
        return (long)reply[0] == 1
            ? new RedisVerdict(true, TimeSpan.Zero, free, Claim: new Grant(id, (string)reply[1]!, sent))
            : new RedisVerdict(false, how == Asking.InLine ? TimeSpan.FromMilliseconds((long)reply[1]) : null, free);
    }

    private protected override RateLimitLease CreateLease(int permits, RedisVerdict? verdict)
    {
        if (permits == 0 || verdict?.Claim is not Grant grant) return base.CreateLease(permits, verdict);
        BeginUse(); // in use until it is given back
        var lease = new RedisConcurrencyLease(this, grant.Member, grant.Token, grant.Sent, verdict, Store.Time);
        _leases.TryAdd(lease, true);
        lock (_gate) _renewing ??= RenewAsync(Stopping);
        return lease;
    }

    private protected override RedisDoorbell.Listener Listen() => _doorbell.Listen(PermitsFree);

    private protected override async ValueTask GiveUpAsync(int permits, string id, RedisVerdict? promised)
    {
        var reply = await EvaluateAsync("cancel", id, CancellationToken.None).ConfigureAwait(false);
        await RingIfAnyoneWaitsAsync(reply).ConfigureAwait(false);
    }

    private protected override LocalRateLimiter CreateShare(int instances, int queueLimit) => new LocalConcurrencyRateLimiter(
        new ConcurrencyOptions { Permits = Math.Max(1, _options.Permits / instances), QueueLimit = queueLimit }, Store.Time);

    /// <summary>Gives permits back in the background; <see cref="RateLimitLease.Dispose()"/> cannot wait.</summary>
    internal void Release(RedisConcurrencyLease lease) => _ = ReleaseAsync(lease);

    /// <inheritdoc/>
    protected override async ValueTask DisposeAsyncCore()
    {
        await base.DisposeAsyncCore().ConfigureAwait(false);
        await Task.WhenAll(_leases.Keys.Select(lease => lease.Released)).ConfigureAwait(false);
        if (_renewing is not null) await _renewing.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await _doorbell.DisposeAsync().ConfigureAwait(false);
    }

    private long LeaseMs => (long)_options.Lease.TotalMilliseconds;

    private async Task ReleaseAsync(RedisConcurrencyLease lease)
    {
        try
        {
            // While Redis is away this is skipped: the lease runs out by itself.
            await RingIfAnyoneWaitsAsync(await EvaluateAsync("release", lease.Member, CancellationToken.None, lease.Token).ConfigureAwait(false)).ConfigureAwait(false);
        }
        catch (RedisServerException)
        {
            // Nobody is there to hear it; the lease runs out by itself.
        }
        _leases.TryRemove(lease, out _);
        EndUse();
        lease.OnReleased();
    }

    private async Task RenewAsync(CancellationToken stop)
    {
        using var timer = new PeriodicTimer(_options.Lease / 3, Store.Time);
        while (await timer.WaitForNextTickAsync(stop).ConfigureAwait(false))
            await Task.WhenAll(_leases.Keys.Where(lease => lease.IsHeld).Select(ExtendAsync)).ConfigureAwait(false);
    }

    private async Task ExtendAsync(RedisConcurrencyLease lease)
    {
        var sent = Store.Time.GetTimestamp();
        try
        {
            var reply = await EvaluateAsync("extend", lease.Member, CancellationToken.None, LeaseMs, lease.Token).ConfigureAwait(false);
            if (reply is not null) lease.OnRenewal((long)reply[0] == 1, sent);
        }
        catch (RedisServerException)
        {
            // Not renewed: the holder learns it from LeaseLost, in time.
        }
    }

    private async ValueTask RingIfAnyoneWaitsAsync(RedisResult[]? reply)
    {
        if (reply is not null && (long)reply[1] > 0) await Store.RingAsync(_bell, PermitsFree).ConfigureAwait(false);
    }

    private ValueTask<RedisResult[]?> EvaluateAsync(string operation, string member, CancellationToken cancellationToken, params RedisValue[] rest) =>
        Store.TryEvaluateAsync(s_script, _keys, [operation, member, .. rest], cancellationToken);

    private sealed record Grant(string Member, string Token, long Sent);
}
