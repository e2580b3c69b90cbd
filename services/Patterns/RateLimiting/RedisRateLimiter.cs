using System.Threading.RateLimiting;
using DistributedPatterns.Redis;

namespace DistributedPatterns.RateLimiting;

/// <summary>A limiter whose limit is shared by all processes that name it, kept in Redis by one script a decision, on the server's clock.</summary>
/// <remarks>
/// <see cref="RateLimiter.AttemptAcquire"/> is synchronous and Redis is not: it answers <see cref="DenialReason.AsyncOnly"/>
/// without counting, unless borrowed permits are at hand. ASP.NET Core's middleware goes on to
/// <see cref="RateLimiter.AcquireAsync"/> by itself.
/// <para>Redis away: <see cref="OutagePolicy"/> decides, after the store's answer limit at most, and
/// <see cref="MeteredRateLimiter.State"/> says so. It recovers by itself.</para>
/// <para>Waiting: within a process in the order of arrival, and only the head asks Redis. Across processes see the subclass.</para>
/// <para>A reply that is lost may have taken permits: they are earned again, so the limit errs towards denying.</para>
/// </remarks>
public abstract class RedisRateLimiter : MeteredRateLimiter
{
    private static readonly TimeSpan s_leastPause = TimeSpan.FromMilliseconds(1);
    private static readonly TimeSpan s_longestPoll = TimeSpan.FromMilliseconds(250); // a ring may be lost

    private readonly RedisLimitOptions _where;
    private readonly int _queueLimit;
    private readonly LocalConcurrencyRateLimiter _turn;
    private readonly Lock _liningUp = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly TaskCompletionSource _drained = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Lazy<LocalRateLimiter> _share;
    private long _waiting;
    private long _inUse;
    private int _deciding;
    private long _lastUsed;
    private long _remaining;
    private long _headDue;
    private int _disposed;

    private protected RedisRateLimiter(RedisLimitStore store, RedisLimitOptions where, int burst, int queueLimit)
    {
        ArgumentNullException.ThrowIfNull(store);
        (Store, _where, _queueLimit, Burst, _remaining) = (store, OptionsGuard.Checked(where), queueLimit, burst, burst);
        _turn = new LocalConcurrencyRateLimiter(new ConcurrencyOptions { Permits = 1, QueueLimit = 1_000_000 }, store.Time);
        _share = new Lazy<LocalRateLimiter>(() => CreateShare(where.Instances, queueLimit));
        _lastUsed = store.Time.GetTimestamp();
    }

    /// <inheritdoc/>
    public sealed override int Burst { get; }

    /// <inheritdoc/>
    public sealed override LimiterState State => Store.State;

    /// <summary>Gets how long nobody has asked, waited or held permits here.</summary>
    public override TimeSpan? IdleDuration => Volatile.Read(ref _inUse) == 0 ? Store.Time.GetElapsedTime(Volatile.Read(ref _lastUsed)) : null;

    private protected RedisLimitStore Store { get; }

    private protected string Name => _where.Name;

    /// <summary>Gets a token that fires when the limiter is disposed.</summary>
    private protected CancellationToken Stopping => _stop.Token;

    private protected sealed override long Waiting => Volatile.Read(ref _waiting);

    private protected override long Available => Volatile.Read(ref _remaining);

    /// <summary>Asks Redis; returns nothing while it is away.</summary>
    private protected abstract ValueTask<RedisVerdict?> AskAsync(int permits, string id, Asking how, CancellationToken cancellationToken);

    /// <summary>Makes what stands in while Redis is away.</summary>
    private protected abstract LocalRateLimiter CreateShare(int instances, int queueLimit);

    /// <summary>Takes back what a request was promised, or may have been: it leaves without it.</summary>
    private protected virtual ValueTask GiveUpAsync(int permits, string id, RedisVerdict? promised) => default;

    /// <summary>Takes permits that this process holds already.</summary>
    private protected virtual bool TryTakeHere(int permits) => false;

    private protected virtual RateLimitLease CreateLease(int permits, RedisVerdict? verdict) => new RedisLease(null, verdict);

    /// <summary>Begins to listen for permits that come back; nothing where they come with time alone.</summary>
    private protected virtual RedisDoorbell.Listener? Listen() => null;

    /// <inheritdoc/>
    protected sealed override RateLimitLease AttemptAcquireCore(int permitCount)
    {
        ObjectDisposedException.ThrowIf(_disposed != 0, this);
        if (permitCount > Burst) return Deny(DenialReason.NeverPossible, null);
        if (Waiting > 0 || !TryTakeHere(permitCount)) return new RedisLease(DenialReason.AsyncOnly, null);
        return Grant(permitCount, null);
    }

    /// <inheritdoc/>
    protected sealed override ValueTask<RateLimitLease> AcquireAsyncCore(int permitCount, CancellationToken cancellationToken) =>
        DecideAsync(permitCount, _queueLimit, cancellationToken);

    private protected sealed override ValueTask<RateLimitLease> TryAcquireAsyncCore(int permitCount, CancellationToken cancellationToken) =>
        DecideAsync(permitCount, 0, cancellationToken);

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing && Interlocked.Exchange(ref _disposed, 1) == 0)
        {
            _stop.Cancel();
            _turn.Dispose();
            if (_share.IsValueCreated) _share.Value.Dispose();
        }
        base.Dispose(disposing);
    }

    /// <inheritdoc/>
    protected override async ValueTask DisposeAsyncCore()
    {
        Dispose(true);
        // Those who waited still give back what they were promised, over a connection that is the caller's and may close next.
        if (Volatile.Read(ref _deciding) == 0) _drained.TrySetResult();
        await _drained.Task.ConfigureAwait(false);
        await base.DisposeAsyncCore().ConfigureAwait(false);
    }

    private protected async Task SleepAsync(TimeSpan wait, CancellationToken cancellationToken)
    {
        // A timer may fire within its grain before time, and a promised permit must not be used early.
        for (var since = Store.Time.GetTimestamp(); Store.Time.GetElapsedTime(since) is var past && past < wait;)
            await Task.Delay(TimeSpan.FromMilliseconds(Math.Ceiling((wait - past).TotalMilliseconds)), Store.Time, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Begins a time in which this limiter is not idle.</summary>
    private protected void BeginUse() => Interlocked.Increment(ref _inUse);

    private protected void EndUse()
    {
        Volatile.Write(ref _lastUsed, Store.Time.GetTimestamp());
        Interlocked.Decrement(ref _inUse);
    }

    private ValueTask<RateLimitLease> DecideAsync(int permits, int queueLimit, CancellationToken cancellationToken)
    {
        ObjectDisposedException.ThrowIf(_disposed != 0, this);
        if (permits > Burst) return new(Deny(DenialReason.NeverPossible, null));
        if (Waiting == 0 && !cancellationToken.IsCancellationRequested && TryTakeHere(permits)) return new(Grant(permits, null));
        return DecideOverRedisAsync(permits, queueLimit, cancellationToken);
    }

    private async ValueTask<RateLimitLease> DecideOverRedisAsync(int permits, int queueLimit, CancellationToken cancellationToken)
    {
        BeginUse();
        Interlocked.Increment(ref _deciding);
        try
        {
            cancellationToken.ThrowIfCancellationRequested();
            var id = Guid.NewGuid().ToString("N");
            RedisVerdict? verdict;
            if (Waiting == 0)
            {
                verdict = await AskOrGiveUpAsync(permits, id, Asking.Once, cancellationToken).ConfigureAwait(false);
                if (verdict is null) return await DecideAloneAsync(permits, queueLimit, cancellationToken).ConfigureAwait(false);
                if (verdict.Admitted) return Grant(permits, verdict);
            }
            else
            {
                // Those who wait come first; when the head's turn comes is the least that this one has to wait.
                var due = Store.Time.GetElapsedTime(Store.Time.GetTimestamp(), Volatile.Read(ref _headDue));
                verdict = new RedisVerdict(false, due > TimeSpan.Zero ? due : TimeSpan.FromMilliseconds(1), 0);
            }
            if (queueLimit == 0) return Deny(DenialReason.LimitReached, verdict);
            return await WaitInLineAsync(permits, queueLimit, id, verdict, cancellationToken).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            Counters.Cancelled();
            throw;
        }
        catch (Exception error) when (_disposed != 0 && error is OperationCanceledException or ObjectDisposedException)
        {
            return Deny(DenialReason.Disposed, null);
        }
        finally
        {
            EndUse();
            if (Interlocked.Decrement(ref _deciding) == 0 && _disposed != 0) _drained.TrySetResult();
        }
    }

    private async ValueTask<RateLimitLease> WaitInLineAsync(int permits, int queueLimit, string id, RedisVerdict denied, CancellationToken cancellationToken)
    {
        var weight = Math.Max(1, permits);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _stop.Token);
        if (LineUp(weight, queueLimit, either.Token) is not { } comingTurn) return Deny(DenialReason.QueueFull, denied);
        try
        {
            using var turn = await comingTurn.ConfigureAwait(false);
            if (!turn.IsAcquired) return Deny(DenialReason.Disposed, null);
            using var bell = Listen(); // before the question: what comes back after the answer rings
            while (true)
            {
                either.Token.ThrowIfCancellationRequested();
                // Once asked, the answer is waited for: who leaves must know what it was promised, to give it back.
                var verdict = await AskOrGiveUpAsync(permits, id, Asking.InLine, CancellationToken.None).ConfigureAwait(false);
                if (verdict is null) break;
                var wait = verdict.Wait ?? TimeSpan.Zero;
                Volatile.Write(ref _headDue, Store.Time.GetTimestamp() + (long)(wait.TotalSeconds * Store.Time.TimestampFrequency));
                if (verdict.Admitted && wait <= TimeSpan.Zero) return Grant(permits, verdict);
                try
                {
                    if (verdict.Admitted) await SleepAsync(wait, either.Token).ConfigureAwait(false);
                    else if (bell is not null) await bell.WaitAsync(wait < s_longestPoll ? wait : s_longestPoll, either.Token).ConfigureAwait(false);
                    else await SleepAsync(wait > s_leastPause ? wait : s_leastPause, either.Token).ConfigureAwait(false);
                }
                catch (OperationCanceledException)
                {
                    await GiveUpAsync(permits, id, verdict).ConfigureAwait(false);
                    throw;
                }
                if (verdict.Admitted) return Grant(permits, verdict);
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // The linked token's exception would name a token that the caller does not know.
            throw new OperationCanceledException(cancellationToken);
        }
        finally
        {
            Interlocked.Add(ref _waiting, -weight);
        }
        return await DecideAloneAsync(permits, queueLimit, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Takes a place in the line of this process; returns nothing when it is full.</summary>
    private ValueTask<RateLimitLease>? LineUp(int weight, int queueLimit, CancellationToken cancellationToken)
    {
        // In one step: who is seen to wait is before whoever comes after that.
        lock (_liningUp)
        {
            if (_waiting + weight > queueLimit) return null;
            var turn = _turn.AcquireAsync(1, cancellationToken);
            Interlocked.Add(ref _waiting, weight);
            return turn;
        }
    }

    private async ValueTask<RedisVerdict?> AskOrGiveUpAsync(int permits, string id, Asking how, CancellationToken cancellationToken)
    {
        try
        {
            var verdict = await AskAsync(permits, id, how, cancellationToken).ConfigureAwait(false);
            if (verdict is not null) Volatile.Write(ref _remaining, verdict.Remaining);
            return verdict;
        }
        catch (OperationCanceledException)
        {
            await GiveUpAsync(permits, id, null).ConfigureAwait(false);
            throw;
        }
    }

    private async ValueTask<RateLimitLease> DecideAloneAsync(int permits, int queueLimit, CancellationToken cancellationToken)
    {
        switch (_where.WhenDown)
        {
            case OutagePolicy.Open:
                Counters.Degraded();
                Counters.Admitted.Increment();
                return new RedisLease(null, null, LimiterState.Degraded);
            case OutagePolicy.Closed:
                Counters.Degraded();
                return Deny(DenialReason.Unavailable, new RedisVerdict(false, Store.ProbeEvery, 0), LimiterState.Degraded);
            default:
                var lease = queueLimit == 0
                    ? _share.Value.AttemptAcquire(permits)
                    : await _share.Value.AcquireAsync(permits, cancellationToken).ConfigureAwait(false);
                Counters.Degraded();
                if (!lease.IsAcquired)
                {
                    // More than this share, though not more than the limit: it is possible again when Redis is back.
                    var reason = lease.GetDenialReason() is DenialReason.NeverPossible ? DenialReason.Unavailable : lease.GetDenialReason() ?? DenialReason.LimitReached;
                    return Deny(reason, new RedisVerdict(false, lease.GetRetryAfter() ?? Store.ProbeEvery, 0), LimiterState.Degraded);
                }
                Counters.Admitted.Increment();
                return new RedisLease(null, null, LimiterState.Degraded, lease);
        }
    }

    private RateLimitLease Grant(int permits, RedisVerdict? verdict)
    {
        Counters.Admitted.Increment();
        return CreateLease(permits, verdict);
    }

    private RedisLease Deny(DenialReason reason, RedisVerdict? verdict, LimiterState decidedBy = LimiterState.Exact)
    {
        if (reason == DenialReason.NeverPossible) Counters.Never();
        else Counters.Denied.Increment();
        return new RedisLease(reason, verdict, decidedBy);
    }
}
