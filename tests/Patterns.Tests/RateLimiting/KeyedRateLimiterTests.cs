using DistributedPatterns.RateLimiting;
using Microsoft.Extensions.Time.Testing;

namespace DistributedPatterns.Tests.RateLimiting;

/// <summary>Both tables of limiters by key: keys are apart, idle ones vanish, a flood is bounded.</summary>
public sealed class KeyedRateLimiterTests
{
    private static readonly BucketOptions s_two = new() { Permits = 2, Burst = 2, QueueLimit = 100 };

    private readonly FakeTimeProvider _time = new();

    [Fact]
    public void Local_EachKey_HasItsOwnLimit()
    {
        using var limiter = new LocalKeyedRateLimiter<string>(s_two, _time);

        foreach (var key in new[] { "a", "b" })
        {
            Assert.True(limiter.AttemptAcquire(key, 2).IsAcquired);
            Assert.Equal(TimeSpan.FromMilliseconds(500), limiter.AttemptAcquire(key).GetRetryAfter());
            Assert.Equal(DenialReason.NeverPossible, limiter.AttemptAcquire(key, 3).GetDenialReason());
        }
        Assert.Equal((2, 2, 2), (limiter.GetLedger().Admitted, limiter.GetLedger().Denied, limiter.GetLedger().Never));
    }

    [Fact]
    public void Local_FullBuckets_VanishAndNobodyCanTell()
    {
        using var limiter = new LocalKeyedRateLimiter<int>(s_two, _time);
        for (var key = 0; key < 1_000; key++) limiter.AttemptAcquire(key, 2);
        Assert.Equal(1_000, limiter.Keys);

        _time.Advance(TimeSpan.FromSeconds(9.9));
        limiter.AttemptAcquire(7, 2);
        _time.Advance(TimeSpan.FromSeconds(0.1)); // sweeps; key 7 is not full

        Assert.Equal(1, limiter.Keys);
        Assert.False(limiter.AttemptAcquire(7).IsAcquired);
        Assert.True(limiter.AttemptAcquire(8, 2).IsAcquired);
    }

    [Fact]
    public void Local_MoreKeysThanPlaces_ShareOneBucket()
    {
        using var limiter = new LocalKeyedRateLimiter<int>(s_two, _time, maxKeys: 10);
        for (var key = 0; key < 10; key++) Assert.True(limiter.AttemptAcquire(key, 2).IsAcquired);

        Assert.True(limiter.AttemptAcquire(10, 1).IsAcquired);
        Assert.True(limiter.AttemptAcquire(11, 1).IsAcquired);
        Assert.False(limiter.AttemptAcquire(12, 1).IsAcquired);

        Assert.Equal((10, 3), (limiter.Keys, limiter.SharedByOverflow));
    }

    [Fact]
    public async Task Local_WhoWaitsAtAKey_IsServedAlsoAcrossSweeps()
    {
        using var limiter = new LocalKeyedRateLimiter<string>(new BucketOptions { Permits = 1, Period = TimeSpan.FromSeconds(30), Burst = 1, QueueLimit = 10 }, _time);
        Assert.True(limiter.AttemptAcquire("a").IsAcquired);
        var first = limiter.AcquireAsync("a", 1, TestContext.Current.CancellationToken).AsTask();
        var second = limiter.AcquireAsync("a", 1, TestContext.Current.CancellationToken).AsTask();

        for (var i = 0; i < 29; i++) _time.Advance(TimeSpan.FromSeconds(1));
        Assert.False(first.IsCompleted);
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.True((await first).IsAcquired);
        Assert.False(second.IsCompleted);
        _time.Advance(TimeSpan.FromSeconds(30));
        Assert.True((await second).IsAcquired);
    }

    [Fact]
    public void Local_SweptWhileInUse_AdmitsNoMoreThanTheLimit()
    {
        // Burst 1 at 1,000/s: buckets are full again at once, so sweeps and requests meet all the time.
        using var limiter = new LocalKeyedRateLimiter<string>(new BucketOptions { Permits = 1, Period = TimeSpan.FromMilliseconds(1), Burst = 1 }, _time);
        var admitted = 0L;
        for (var round = 0; round < 200; round++)
        {
            _time.Advance(TimeSpan.FromMilliseconds(10_000 - 1));
            var askers = Enumerable.Range(0, 3).Select(_ => new Thread(() =>
            {
                for (var i = 0; i < 50; i++)
                    if (limiter.AttemptAcquire("a").IsAcquired) Interlocked.Increment(ref admitted);
            })).ToArray();
            foreach (var asker in askers) asker.Start();
            _time.Advance(TimeSpan.FromMilliseconds(1)); // sweeps
            foreach (var asker in askers) asker.Join();
        }

        Assert.InRange(admitted, 200, 400); // one before and one after each millisecond
    }

    [Fact]
    public async Task AnyKind_IdleLimiters_VanishAndTheLedgerStays()
    {
        await using var table = new KeyedRateLimiter<string>(_ => new LocalGcraRateLimiter(s_two, _time), 100, TimeSpan.FromSeconds(30), _time);
        Assert.True(table.AttemptAcquire("a", 2).IsAcquired);
        Assert.False((await table.TryAcquireAsync("a", 1, TestContext.Current.CancellationToken)).IsAcquired);
        Assert.True((await table.AcquireAsync("b", 1, TestContext.Current.CancellationToken)).IsAcquired);
        Assert.Equal(2, table.Keys);

        _time.Advance(TimeSpan.FromSeconds(45));
        await Support.Eventually.TrueAsync(() => table.Keys == 0, TimeSpan.FromSeconds(20), () => $"{table.Keys} keys");

        Assert.Equal(new RateLimitLedger(2, 1, 0, 0, 0), table.GetLedger());
        Assert.True(table.AttemptAcquire("a", 2).IsAcquired);
    }

    [Fact]
    public async Task AnyKind_HeldPermits_KeepTheirLimiter()
    {
        await using var table = new KeyedRateLimiter<string>(_ => new LocalConcurrencyRateLimiter(new ConcurrencyOptions { Permits = 1 }, _time), 100, TimeSpan.FromSeconds(30), _time);
        using var held = table.AttemptAcquire("a");
        table.AttemptAcquire("b").Dispose();

        _time.Advance(TimeSpan.FromMinutes(5));
        await Support.Eventually.TrueAsync(() => table.Keys == 1, TimeSpan.FromSeconds(20), () => $"{table.Keys} keys");

        Assert.False(table.AttemptAcquire("a").IsAcquired);
    }

    [Fact]
    public async Task AnyKind_MoreKeysThanMay_ThrowsTheLimit()
    {
        await using var table = new KeyedRateLimiter<int>(_ => new LocalGcraRateLimiter(s_two, _time), 2, time: _time);
        table.AttemptAcquire(1);
        table.AttemptAcquire(2);

        Assert.Equal(2, Assert.Throws<TooManyKeysException>(() => table.AttemptAcquire(3)).Limit);
        Assert.True(table.AttemptAcquire(1).IsAcquired);
    }
}
