using System.Threading.RateLimiting;

namespace DistributedPatterns.RateLimiting;

/// <summary>Permits held in Redis until this is disposed, or the process dies.</summary>
internal sealed class RedisConcurrencyLease : RateLimitLease
{
    private static readonly string[] s_names = [RateLimitMetadata.LeaseLost.Name, RateLimitMetadata.Remaining.Name];

    private readonly RedisConcurrencyRateLimiter _limiter;
    private readonly RedisVerdict _verdict;
    private readonly TimeProvider _time;
    private readonly CancellationTokenSource _lost;
    private readonly CancellationToken _lostToken;
    private readonly TaskCompletionSource _released = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Lock _gate = new();
    private bool _given;

    public RedisConcurrencyLease(RedisConcurrencyRateLimiter limiter, string member, string token, long sent, RedisVerdict verdict, TimeProvider time)
    {
        (_limiter, Member, Token, _verdict, _time) = (limiter, member, token, verdict, time);
        _lost = new CancellationTokenSource(SafeFor(sent), time);
        _lostToken = _lost.Token;
    }

    public string Member { get; }

    public string Token { get; }

    /// <summary>Gets a task that ends when the permits were given back after <see cref="RateLimitLease.Dispose()"/>.</summary>
    public Task Released => _given ? _released.Task : Task.CompletedTask;

    /// <summary>Gets whether it is worth to renew.</summary>
    public bool IsHeld
    {
        get
        {
            lock (_gate) return !_given && !_lostToken.IsCancellationRequested;
        }
    }

    public override bool IsAcquired => true;

    public override IEnumerable<string> MetadataNames => s_names;

    public override bool TryGetMetadata(string metadataName, out object? metadata)
    {
        metadata = metadataName == RateLimitMetadata.LeaseLost.Name ? _lostToken
            : metadataName == RateLimitMetadata.Remaining.Name ? _verdict.Remaining
            : null;
        return metadata is not null;
    }

    /// <summary>Takes note of the server's answer to a renewal.</summary>
    public void OnRenewal(bool held, long sent)
    {
        lock (_gate)
        {
            if (_given || _lostToken.IsCancellationRequested) return;
            if (held) _lost.CancelAfter(SafeFor(sent));
            else _lost.CancelAfter(TimeSpan.Zero); // on a timer's thread: whoever listens must not run under this lock
        }
    }

    public void OnReleased() => _released.TrySetResult();

    protected override void Dispose(bool disposing)
    {
        lock (_gate)
        {
            if (_given) return;
            _given = true;
            _lost.Dispose(); // it never fires for what was given back
        }
        _limiter.Release(this);
        base.Dispose(disposing);
    }

    // The server counts from when it ran the script, which is after we sent it: so this ends first, by a margin for our own delays.
    private TimeSpan SafeFor(long sent)
    {
        var left = (_limiter.Lease * 5 / 6) - _time.GetElapsedTime(sent);
        return left > TimeSpan.Zero ? left : TimeSpan.Zero;
    }
}
