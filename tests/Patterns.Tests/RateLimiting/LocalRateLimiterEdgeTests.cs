using System.Threading.RateLimiting;
using DistributedPatterns.RateLimiting;
using Microsoft.Extensions.Time.Testing;

namespace DistributedPatterns.Tests.RateLimiting;

/// <summary>What single limiters in process promise beyond the common contract.</summary>
public sealed class LocalRateLimiterEdgeTests
{
    private readonly FakeTimeProvider _time = new();

    [Fact]
    public void Gcra_AnUnevenRate_NeverEarnsMoreAndLosesUnderAThousandth()
    {
        // 999,983 is prime: its numerator does not reduce to 1,024 or less.
        using var limiter = new LocalGcraRateLimiter(new BucketOptions { Permits = 999_983, Period = TimeSpan.FromSeconds(1), Burst = 1_000_000 }, _time);
        limiter.AttemptAcquire(1_000_000);

        _time.Advance(TimeSpan.FromSeconds(1));

        Assert.InRange(limiter.GetStatistics().CurrentAvailablePermits, 998_983, 999_983);
    }

    [Fact]
    public void Gcra_ExtremesOfItsOptions_DoNotOverflow()
    {
        foreach (var options in new[]
        {
            new BucketOptions { Permits = 1, Period = TimeSpan.FromDays(1), Burst = 366 },
            new BucketOptions { Permits = 1_000_000_000, Period = TimeSpan.FromMilliseconds(1), Burst = 1_000_000_000 },
            new BucketOptions { Permits = 1_000_000_000, Period = TimeSpan.FromDays(1), Burst = 1_000_000_000 },
        })
        {
            using var limiter = new LocalGcraRateLimiter(options, _time);
            for (var year = 0; year < 10; year++)
            {
                Assert.True(limiter.AttemptAcquire(options.Burst).IsAcquired);
                Assert.False(limiter.AttemptAcquire(options.Burst).IsAcquired);
                _time.Advance(TimeSpan.FromDays(367));
            }
        }
    }

    [Fact]
    public void Constructor_OptionsOutOfRange_NamesWhatIsWrong()
    {
        Assert.Contains("Permits", Assert.Throws<ArgumentException>(() => new LocalGcraRateLimiter(new BucketOptions { Permits = 0 })).Message, StringComparison.Ordinal);
        Assert.Contains("Burst", Assert.Throws<ArgumentException>(
            () => new LocalGcraRateLimiter(new BucketOptions { Permits = 1, Period = TimeSpan.FromDays(1), Burst = 1_000 })).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => new LocalWindowLogRateLimiter(new WindowOptions { Window = TimeSpan.Zero }));
        Assert.Throws<ArgumentException>(() => new LocalCompositeRateLimiter([]));
    }

    [Fact]
    public async Task Pacer_AfterARest_StillLetsOneGoAtATime()
    {
        await using var pacer = new LocalPacer(new PacerOptions { Interval = TimeSpan.FromMilliseconds(100) }, _time);
        _time.Advance(TimeSpan.FromHours(1));
        var waiting = Enumerable.Range(0, 10).Select(_ => pacer.AcquireAsync().AsTask()).ToArray();

        for (var gone = 1; gone <= 10; gone++)
        {
            await waiting[gone - 1];
            Assert.Equal(gone, waiting.Count(task => task.IsCompleted));
            _time.Advance(TimeSpan.FromMilliseconds(99));
            Assert.Equal(gone, waiting.Count(task => task.IsCompleted));
            _time.Advance(TimeSpan.FromMilliseconds(1));
        }
    }

    [Fact]
    public void Composite_OneLimitDenies_CostsTheOthersNothing()
    {
        var second = new LocalGcraRateLimiter(new BucketOptions { Permits = 10, Burst = 10 }, _time);
        var day = new LocalGcraRateLimiter(new BucketOptions { Permits = 1, Period = TimeSpan.FromHours(1), Burst = 3 }, _time);
        using var both = new LocalCompositeRateLimiter([second, day], 0, _time);

        Assert.True(both.AttemptAcquire(3).IsAcquired);
        for (var i = 0; i < 20; i++) Assert.Equal(TimeSpan.FromHours(2), both.AttemptAcquire(2).GetRetryAfter());

        Assert.Equal(7, second.GetStatistics().CurrentAvailablePermits);
        Assert.Equal(3, both.Burst);
    }

    [Fact]
    public async Task Composite_WithConcurrency_ReleasesItAndServesWhoWaits()
    {
        var held = new LocalConcurrencyRateLimiter(new ConcurrencyOptions { Permits = 1 }, _time);
        await using var both = new LocalCompositeRateLimiter([held, new LocalGcraRateLimiter(new BucketOptions { Permits = 1, Burst = 2 }, _time)], 10, _time);
        var first = both.AttemptAcquire();
        var second = both.AcquireAsync(1, TestContext.Current.CancellationToken).AsTask();
        Assert.False(second.IsCompleted);
        Assert.Null(both.AttemptAcquire().GetRetryAfter()); // a holder's time is not known

        first.Dispose();
        first.Dispose();

        Assert.True((await second).IsAcquired);
        Assert.Equal(0, held.GetStatistics().CurrentAvailablePermits);
        (await second).Dispose();
        Assert.Equal(1, held.GetStatistics().CurrentAvailablePermits);
    }

    [Fact]
    public void WindowCounter_AClockThatStandsBeforeTheLastWindow_DoesNotThrow()
    {
        using var limiter = new LocalWindowCounterRateLimiter(new WindowOptions { Permits = 2, Window = TimeSpan.FromSeconds(1) }, _time);
        for (var i = 0; i < 1_000; i++)
        {
            Assert.True(limiter.AttemptAcquire(2).IsAcquired);
            Assert.False(limiter.AttemptAcquire().IsAcquired);
            _time.Advance(TimeSpan.FromSeconds(2));
        }
        _time.Advance(TimeSpan.FromDays(400)); // its number of the window wraps
        Assert.Equal(2, limiter.GetStatistics().CurrentAvailablePermits);
    }

    [Fact]
    public void Leases_TellWhatIsLeftAndWhenAllIsThere()
    {
        using var limiter = new LocalGcraRateLimiter(new BucketOptions { Permits = 10, Burst = 5 }, _time);
        using var lease = limiter.AttemptAcquire(2);

        lease.TryGetMetadata(RateLimitMetadata.Remaining, out var remaining);
        lease.TryGetMetadata(RateLimitMetadata.ResetAfter, out var reset);
        Assert.Equal((3, TimeSpan.FromMilliseconds(200)), (remaining, reset));
        Assert.False(lease.TryGetMetadata(MetadataName.RetryAfter, out _));
    }
}
